"""Fixtures that several test modules share, and the order in which two workers run the modules."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.serving import CLIENT_KEY, EVERY, Service, serve

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


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The real service with BLIP's sample weights and a real Redis, shared by all tests that leave it as it was."""
    with serve() as running:
        yield running


@pytest.fixture(scope="session")
def everything() -> Iterator[Service]:
    """The same with every model, all of them kept in memory."""
    with serve(models=EVERY, MODEL_CAPACITY="0") as running:
        yield running


@pytest.fixture(scope="session")
def keyed() -> Iterator[Service]:
    """The same with every model, for clients that have a key and send small batches."""
    settings = {"LOOKSEE_CLIENT_KEYS": CLIENT_KEY, "LOOKSEE_MAX_BATCH_ITEMS": "10"}
    with serve(models=EVERY, MODEL_CAPACITY="0", **settings) as running:
        yield running
