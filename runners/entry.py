"""A row in an engine, with its caller and its times; and the pace at which rows are finished."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Generic

from models.base import RowT
from vision.tasks import Answer, Timing

_FORGETS = 0.1  # how much of the pace each finished row renews


@dataclass(slots=True, eq=False)
class Entry(Generic[RowT]):
    """A row and its caller, who may listen to its text as it comes. Times are of the monotonic clock.

    `row` is set once it is prepared.
    """

    answer: Callable[[Answer], None]
    listener: Callable[[str], None] | None
    deadline: float
    submitted: float
    row: RowT | None = None
    prepare_seconds: float = 0.0
    queued: float = 0.0
    started: float = 0.0
    cancelled: bool = False
    context: Context = field(default_factory=copy_context)  # the caller's, for what is logged of this row
    told: int = 0  # characters of its text that the listener has
    _steps: int = 0
    _rows: int = 0  # of the batches it was in, summed over its steps

    @property
    def ready_row(self) -> RowT:
        assert self.row is not None  # only prepared entries are queued
        return self.row

    def stepped(self, rows: int) -> None:
        """Count a prefill or a step that it shared with `rows` rows in all."""
        self._steps += 1
        self._rows += rows

    def tell(self, text: str) -> None:
        """Pass on what `text`, all of it that is certain, has more than before."""
        if self.listener is not None and len(text) > self.told:
            self.listener(text[self.told :])
            self.told = len(text)

    def timing(self) -> Timing:
        if not self.started:
            return Timing(prepare=self.prepare_seconds)
        return Timing(
            prepare=self.prepare_seconds,
            queue=self.started - self.queued,
            compute=time.monotonic() - self.started,
            rows=self._rows / max(self._steps, 1),
        )


@dataclass(slots=True)
class Pace:
    """How fast rows are finished, for Retry-After: an average of busy seconds a row that forgets slowly."""

    seconds_a_row: float = 0.05

    def finished(self, rows: int, seconds: float) -> None:
        for _ in range(rows):
            self.seconds_a_row += _FORGETS * (seconds / rows - self.seconds_a_row)

    def wait(self, rows: int) -> int:
        """Whole seconds, at least one, until `rows` more rows are finished."""
        return max(1, math.ceil(rows * self.seconds_a_row))
