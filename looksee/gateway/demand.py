"""How much the models are asked for, whether or not there is a process of theirs: a cluster starts the first by it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter

_JOBS = Counter(
    "looksee_jobs_total", "Jobs that the gateway had for a model's runner, whether or not one took them", ["model"]
)


def offer(models: Iterable[str]) -> None:
    """Show these models' figures from now on: the first job must be an increase of a figure that was there before."""
    for model in models:
        _JOBS.labels(model)


def ask(model: str) -> None:
    """Count a job."""
    _JOBS.labels(model).inc()
