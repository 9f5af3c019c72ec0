"""Figures of this process: what it runs, and how often it was started."""

from __future__ import annotations

import platform
from importlib import metadata

from prometheus_client import Counter, Gauge

from looksee.version import VERSION

_BUILD = Gauge(
    "looksee_build_info",
    "1; the labels say what runs here",
    ["version", "python", "bentoml", "torch"],
    multiprocess_mode="livemax",
)
_STARTS = Counter(
    "looksee_process_starts_total",
    "Starts of a process since the service was started, by what it is: gateway, or a model",
    ["process"],
)


def started(process: str) -> None:
    """Tell that this process has started: `gateway`, or a model."""
    versions = (metadata.version("bentoml"), metadata.version("torch"))
    _BUILD.labels(VERSION, platform.python_version(), *versions).set(1)
    _STARTS.labels(process).inc()
