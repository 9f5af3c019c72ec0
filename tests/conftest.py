"""Fixtures that several test modules share, and which worker runs which modules, in which order."""

from __future__ import annotations

import functools
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.collector import Collector, collecting
from tests.support.collector import installed as exporter_installed
from tests.support.serving import CLIENT_KEY, EVERY, QUEUE, Service, serve

# Where the suite runs in the background this signal is ignored, and would be by the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many workers as cores: more threads would only wait in turns

_LONGEST = (
    "tests/faults",
    "tests/service",
    "tests/page",
    "tests/models",
    "tests/samples",
    "tests/runners",
    "tests/http",
    "tests/engine",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest first, so that no worker is left with much to do when the others are through."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, folder in enumerate(_LONGEST) if item.nodeid.startswith(folder)), len(_LONGEST))


class ByService(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests of a module run in one worker, since they share what is slow to make; so do those of all modules that
    share a service of several models.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return _shared_service(Path(__file__).parents[1] / module) or module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByService:
    return ByService(config, log)


# The fixtures of shared services, and the group of the modules that use one: some use two of the first three.
_GROUPS = {"everything": "several", "narrow": "several", "keyed": "several", "service": "one"}
# A test or a fixture, and no helper whose parameter has such a name.
_ASKER = r"(?:@pytest\.fixture.*\ndef \w+|def test_\w+)"


@functools.cache
def _shared_service(module: Path) -> str | None:
    """The group of a module that uses a shared service, by its source: who hands out the tests collects none."""
    own = module.parent / "conftest.py"
    source = module.read_text() + (own.read_text() if own.exists() else "")
    for name, group in _GROUPS.items():
        if re.search(rf"^{_ASKER}\([^)]*\b{name}: Service", source, re.MULTILINE):
            return group
    return None


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The real service with BLIP's sample weights and a real Redis, shared by all tests that leave it as it was."""
    with serve() as running:
        yield running


@pytest.fixture(scope="session")
def everything() -> Iterator[Service]:
    """The same with every model, all of them kept in memory, and one of them loaded before it is ready."""
    with serve(models=EVERY, MODEL_CAPACITY="0", LOOKSEE_PRELOAD="blip", LOOKSEE_PIN="blip,gemma") as running:
        yield running


@pytest.fixture(scope="session")
def narrow() -> Iterator[Service]:
    """The same with a short queue, few rows in a batch, and one of its models in memory at a time."""
    settings = {"LOOKSEE_MAX_QUEUE": f"{QUEUE}", "LOOKSEE_BLIP_MAX_BATCH_ROWS": f"{QUEUE}"}
    settings["LOOKSEE_INTERN_VLM_MAX_BATCH_ROWS"] = "1"
    with serve(models=["blip", "moondream", "intern_vlm"], **settings) as running:
        yield running


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """What the shared service with a key sends its spans to."""
    with collecting() as listening:
        yield listening


@pytest.fixture(scope="session")
def keyed(collector: Collector) -> Iterator[Service]:
    """The same with every model, for clients that have a key and send small batches; traced where that can be."""
    settings = {"LOOKSEE_CLIENT_KEYS": CLIENT_KEY, "LOOKSEE_MAX_BATCH_ITEMS": "10"}
    if exporter_installed():
        settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with serve(models=EVERY, MODEL_CAPACITY="0", **settings) as running:
        yield running
