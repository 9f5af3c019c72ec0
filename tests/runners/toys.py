"""A runner's toys: models that are loaded at once, and may be made to fail or block while they load or compute."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from looksee.core.tasks import Ask
from looksee.models.registry import REGISTRY
from looksee.settings import Settings
from runners import lifecycle, model_loader
from runners import runner as runner_module
from runners.capacity import CapacityManager, Lease
from runners.keeping import residency
from runners.keeping.warming import drawn_job
from runners.runner import Runner
from tests.engine.toy import ToyModel, job
from tests.support.loops import PATIENCE

DRAWN = {drawn_job(name).prompt for name in REGISTRY}  # what a model is asked to warm up


class ToyLoader:
    """Loads toy models; `on_load` runs in the loading thread first, and may raise or block.

    `on_prefill` and `on_step` hear nothing of the rows that warm a model up, `on_warm_up` of nothing else.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.on_load: Callable[[], None] = lambda: None
        self.on_step: Callable[[list[str]], None] = lambda words: None
        self.on_prefill: Callable[[list[str]], None] = lambda words: None
        self.on_join: Callable[[], None] = lambda: None
        self.on_warm_up: Callable[[], None] = lambda: None
        self.loads = 0
        self.how: dict[str, Any] = {}
        self.alive: list[weakref.ref[ToyModel]] = []

    def load(self, name: str, directory: Path, **how: Any) -> ToyModel:
        self.loads += 1
        self.how = how
        self.on_load()

        def on_step(words: list[str]) -> None:
            if DRAWN.issuperset(words):
                self.on_warm_up()
            else:
                self.on_step(words)

        model = ToyModel(
            delay=self.delay,
            on_prefill=lambda words: None if DRAWN.issuperset(words) else self.on_prefill(words),
            on_step=on_step,
            on_join=lambda: self.on_join(),
        )
        self.alive.append(weakref.ref(model))
        return model

    def in_memory(self) -> int:
        return sum(model() is not None for model in self.alive)


def configure(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    chosen = Settings().model_copy(update=changes)
    for module in (runner_module, lifecycle, model_loader, residency):
        monkeypatch.setattr(module, "settings", lambda: chosen)


@contextlib.asynccontextmanager
async def running(*names: str) -> AsyncIterator[list[Runner]]:
    runners = [Runner(name) for name in names or ("blip",)]
    try:
        yield runners
    finally:
        for runner in runners:
            await runner.close()


async def asked(runner: Runner, *words: str, timeout: float = 20) -> list[str]:
    """What the model says, or the codes of the failures."""
    answers = await asyncio.gather(*(runner.infer(Ask(job(word), timeout)) for word in words))
    return [
        answer.answer.text if answer.answer else answer.failure.code if answer.failure else "" for answer in answers
    ]


def hold(until_then: threading.Event, seconds: float = PATIENCE) -> None:
    until_then.wait(seconds)


async def state(runner: Runner) -> str:
    return (await runner.status()).state


async def lease_of(home: Path, name: str = "other") -> Lease:
    """A lease of another model."""
    lease = await CapacityManager(home / "looksee", 1, name).acquire()
    assert lease is not None
    return lease
