"""What a row says before it runs that it will hold is what it holds at most, for each model and task."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from looksee.models.core.graphs import NoGraphs
from tests.models.core.cases import NAMES, mixed, told
from tests.models.mixing import decode_mixed


class KeptPromises:
    """A model that checks after each verb what its storage holds, against all that was promised so far."""

    def __init__(self, model: Any) -> None:
        self.model, self.storage = model, model.step_runner.storage
        self.rows: list[Any] = []
        self.promised = 0

    def prefill(self, rows: Sequence[Any]) -> Any:
        assert all(row.nbytes > 0 for row in rows if getattr(row, "image", True) and getattr(row, "images", True))
        self.rows += rows
        return self._checked(lambda: self.model.prefill(rows))

    def add_rows(self, running: Any, newcomers: Any) -> Any:
        return self._checked(lambda: self.model.add_rows(running, newcomers))

    def step(self, batch: Any) -> None:
        self._checked(lambda: self.model.step(batch))

    def sample(self, batch: Any) -> None:
        self.model.sample(batch)

    def keep_rows(self, batch: Any, keep: Sequence[int]) -> Any:
        kept = [batch.rows[index] for index in keep]
        self.rows = kept
        return self._checked(lambda: self.model.keep_rows(batch, keep))

    def _checked(self, verb: Any) -> Any:
        promised = self.model.held_bytes(len(self.rows), max(row.slots for row in self.rows))
        self.promised = max(self.promised, promised)
        self.model.set_memory_budget(promised)  # as where nothing is to spare
        result = verb()
        held = sum(layer.nbytes for layer in [*self.storage.layers, *self.storage.cross])
        assert held == self.storage.nbytes <= self.promised
        assert all(row.position < row.slots for row in self.rows)
        return result


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_holds_no_more_than_its_rows_said(name: str, static: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    case = mixed(name)
    case.use(monkeypatch, NoGraphs() if static else None, growth=4)
    measured: Any = KeptPromises(case.model)
    rows = [fresh() for fresh in case.fresh]
    short_first = sorted(rows, key=lambda row: row.slots)  # the rectangle around them and a long one is too large
    decode_mixed(measured, short_first, random.Random(7))
    assert [told(row) for row in rows] == case.tokens
    assert measured.promised > 0
    # Some row uses up all that it said: more would be room that stays empty.
    assert any(row.position + 1 >= row.slots - 1 for row in rows)
