"""Drive a model's methods as the engine does, with rows that join and leave at random steps."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

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
