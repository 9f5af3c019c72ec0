"""A row as the engine schedules it: the model's row, its caller, its deadline and its times."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic

from looksee.core.tasks import Reply, Timing
from looksee.models.interface import RowT


@dataclass(slots=True, eq=False)
class ScheduledRow(Generic[RowT]):
    """One job between its submission and its reply.

    `deadline`, `submitted`, `queued`, `started` and the times of tokens are seconds of the monotonic clock; 0.0 means
    not yet. `reply` and `listener` may be called from any thread. `prepared` is the model's row, None until
    `Model.prepare` has returned.
    """

    reply: Callable[[Reply], None]
    listener: Callable[[str], None] | None  # for the further pieces of the text; None where it is not streamed
    deadline: float
    submitted: float
    prepared: RowT | None = None
    prepare_seconds: float = 0.0
    queued: float = 0.0  # when it was prepared
    started: float = 0.0  # when it was first taken for a prefill
    first_token: float = 0.0  # when it got it
    latest_token: float = 0.0
    cancelled: bool = False
    context: Context = field(default_factory=copy_context)  # the caller's, so that log lines carry its request id
    shortages_alone: int = 0  # times that memory ran out while it ran alone, since its last step
    failed_joins: int = 0  # in repairs of failed batches
    prepared_bytes: int = 0  # counted of it while it waits
    streamed: int = 0  # characters of the text that the listener has received
    _steps: int = 0
    _shared: int = 0  # the sizes of its batches, summed over its steps

    @property
    def model_row(self) -> RowT:
        """The model's row. For prepared rows only."""
        assert self.prepared is not None  # only prepared rows are queued
        return self.prepared

    @property
    def cost(self) -> int:
        """The cost of the prepared row's pictures, at least 1: no row is free."""
        return max(1, self.model_row.cost)

    @property
    def has_ended(self) -> bool:
        """Whether it has finished or cannot go on: it is not computed any more (I11)."""
        return self.model_row.finish is not None or self.model_row.error is not None

    def count_step(self, rows: int) -> None:
        """Count a step that the row shared with `rows` rows, itself included."""
        self._steps += 1
        self._shared += rows

    def stream(self, text: str) -> None:
        """Send the listener what `text`, the stable text so far, has beyond what was sent before."""
        if self.listener is not None and len(text) > self.streamed:
            self.listener(text[self.streamed :])
            self.streamed = len(text)

    def timing(self) -> Timing:
        """Where its time went until now."""
        now = time.monotonic()
        if not self.queued:
            return Timing(waited=now - self.submitted)
        waited = self.queued - self.prepare_seconds - self.submitted
        if not self.started:
            return Timing(prepare=self.prepare_seconds, queue=now - self.queued, waited=waited)
        return Timing(
            prepare=self.prepare_seconds,
            queue=self.started - self.queued,
            compute=now - self.started,
            rows=self._shared / max(self._steps, 1),
            waited=waited,
            prefill=(self.first_token or now) - self.started,
        )


def scheduled(
    future: asyncio.Future[Reply], listener: Callable[[str], None] | None, timeout: float
) -> ScheduledRow[Any]:
    """A row whose first reply becomes the result of `future` and whose pieces go to `listener`, on the future's loop.

    No piece arrives after the reply, or once the future is cancelled. `timeout` in seconds from now.
    """
    loop = future.get_loop()

    def call_on_loop(call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the caller's loop is closed: the caller has gone with it
            loop.call_soon_threadsafe(call, *arguments)

    def set_reply(reply: Reply) -> None:
        if not future.done():
            future.set_result(reply)

    def pass_piece(piece: str) -> None:
        if listener is not None and not future.done():
            listener(piece)

    now = time.monotonic()
    return ScheduledRow(
        reply=functools.partial(call_on_loop, set_reply),
        listener=functools.partial(call_on_loop, pass_piece) if listener is not None else None,
        deadline=now + timeout,
        submitted=now,
    )
