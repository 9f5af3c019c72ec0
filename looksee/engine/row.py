"""A row in an engine, with its caller and its times."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Generic

from looksee.core.tasks import Reply, Timing
from looksee.models.interface import RowT


@dataclass(slots=True, eq=False)
class ScheduledRow(Generic[RowT]):
    """A row and its caller, who may listen to its text as it comes. Times are of the monotonic clock.

    `row` is set once it is prepared.
    """

    reply: Callable[[Reply], None]
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
