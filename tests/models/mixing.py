"""Drive a model's methods as the engine does, or by the engine, with rows that join and leave at random steps."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from looksee.engine.batch import RunningBatch
from looksee.engine.budget import BatchBudget
from looksee.engine.observer import EngineObserver
from looksee.engine.row import ScheduledRow
from looksee.models.core.model import DecoderBatch
from looksee.models.interface import Model, Row


def decode_mixed(model: Model[Any, Any], rows: Sequence[Row], rng: random.Random, *, most: int = 8) -> int:
    """Decode all rows to their ends; returns how many joins into a running batch there were."""
    waiting, running = list(rows), list[Row]()
    batch: Any = None
    joins = 0
    while waiting or running:
        room = most - len(running)
        if waiting and room and (not running or rng.random() < 0.4):
            count = rng.randint(1, min(room, len(waiting), 4))
            newcomers, waiting = waiting[:count], waiting[count:]
            fresh = model.prefill(newcomers)
            joins += batch is not None
            batch = fresh if batch is None else model.add_rows(batch, fresh)
            running += newcomers
        model.step(batch)
        model.sample(batch)
        running, batch = without_ended(model, running, batch)
    return joins


def without_ended(model: Model[Any, Any], rows: list[Row], batch: Any) -> tuple[list[Row], Any]:
    """The rows that go on, and their batch; None where there are none."""
    keep = [index for index, row in enumerate(rows) if row.finish is None and row.error is None]
    if len(keep) == len(rows):
        return rows, batch
    return [rows[index] for index in keep], model.keep_rows(batch, keep) if keep else None


def failing(model: Any, verbs: Sequence[str], error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have these of the model's methods raise `error` now and then for several rows. Returns which did so."""
    rng, failures = random.Random(5), list[str]()

    def failing_verb(verb: str) -> None:
        inner = getattr(model, verb)

        def made(*arguments: Any) -> Any:
            if isinstance(arguments[0], DecoderBatch) and len(arguments[0].rows) > 1 and rng.random() < 0.1:
                failures.append(verb)
                raise error("broken")
            return inner(*arguments)

        monkeypatch.setattr(model, verb, made)

    for verb in verbs:
        failing_verb(verb)
    return failures


def run_by_engine(model: Any, rows: Sequence[Any], *, most: int = 6) -> list[ScheduledRow[Any]]:
    """The rows as the engine's batch ends them; those that it gives back after a failure are admitted again."""
    finished: list[ScheduledRow[Any]] = []
    running: RunningBatch[Any, Any] = RunningBatch(model, BatchBudget(10**15), 10**9, EngineObserver(), _not_expected)
    waiting = [
        ScheduledRow(reply=_not_expected, listener=None, deadline=1e9, submitted=0.0, prepared=row) for row in rows
    ]
    while waiting or running.rows:
        if waiting and len(running.rows) < most:
            new, waiting = waiting[:2], waiting[2:]
            running.admit(new)
            finished += running.pop_finished()
        if running.rows:
            running.step()
            finished += running.pop_finished()
        waiting = running.take_requeued() + waiting
    return finished


def _not_expected(*arguments: Any) -> None:
    raise AssertionError(arguments)
