"""Admission and preparation: the rows of an engine before they run.

A job is admitted or refused at once, waits for its preparation, is prepared in a thread, and waits until the device
thread takes its row. A prepared row has its pixels, much larger than the picture's file: so jobs are prepared only as
far ahead as the prepared rows stay within their bytes. I6 and I9 are those of `looksee.engine.engine`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic

from looksee.core import errors
from looksee.core.tasks import Job
from looksee.core.throughput import ThroughputEstimate
from looksee.engine.limits import EngineLimits
from looksee.engine.observer import EngineObserver
from looksee.engine.replies import Replies
from looksee.engine.row import ScheduledRow
from looksee.models.interface import Model, RowT


class AdmissionQueue(Generic[RowT]):
    """The rows that are not running yet, and the count of all calls.

    `submit` and `leave` may be called on any thread, `take` and `put_back` on the device thread.
    """

    def __init__(
        self,
        model: Model[RowT, Any],
        limits: EngineLimits,
        replies: Replies[RowT],
        observer: EngineObserver,
        *,
        threads: int,
    ) -> None:
        """`threads` prepare rows beside each other."""
        self.model, self.limits, self.observer, self._replies = model, limits, observer, replies
        self.throughput = ThroughputEstimate()
        self.lock = threading.Condition()  # notified when a row can be taken, and by `close`
        self.waiting: deque[ScheduledRow[RowT]] = deque()
        self.admitted = 0  # rows that are not running: those that wait, are being prepared, or are not prepared yet
        self.calls = 0  # under way, each with a row that waits or runs (I6)
        self.closed = False
        self._unprepared: deque[tuple[ScheduledRow[RowT], Job]] = deque()
        self._threads, self._in_preparation = threads, 0
        self._prepared_bytes = 0  # of the rows that wait
        self._preparing = ThreadPoolExecutor(threads, thread_name_prefix="prepare")

    def submit(self, row: ScheduledRow[RowT], job: Job) -> errors.LookseeError | None:
        """Count the row and have it prepared; or the reason why it is refused. Who is not refused has to `leave`.

        Counted as the gateway counts, by calls under way: who was told there that there is room is not refused here.
        """
        with self.lock:
            if self.closed:
                return errors.ModelNotReady("The model is being released; try again.", retry_after=1)
            if self.calls >= self.limits.queue + self.limits.rows:
                self.observer.row_dropped("queue_full")
                wait = self.throughput.wait(self.calls)
                return errors.Overloaded("The model's queue is full; try again later.", retry_after=wait)
            self.calls += 1
            self._count(1)
            self._unprepared.append((row, job))
            self._prepare_ahead()
        return None

    def leave(self, row: ScheduledRow[RowT]) -> None:
        """Count a call less. A row that its caller left while it waited is dropped at once, with its pictures."""
        with self.lock:
            self.calls -= 1
            row.cancelled = True  # without effect on a row that is answered
            dropped = False
            if row in self.waiting:
                self.waiting.remove(row)
                self._prepared_bytes -= row.prepared_bytes
                dropped = True
            elif any(row is other for other, _ in self._unprepared):
                self._unprepared = deque(pair for pair in self._unprepared if pair[0] is not row)
                dropped = True
            if dropped:
                self.observer.row_dropped("cancelled")
                self._count(-1)
                self._prepare_ahead()

    def take(self, free: int, fits: Callable[[Sequence[ScheduledRow[RowT]]], bool]) -> list[ScheduledRow[RowT]]:
        """Take the oldest waiting rows, at most `free` of them, as long as they all fit. With the lock held."""
        taken: list[ScheduledRow[RowT]] = []
        now = time.monotonic()
        while self.waiting and len(taken) < free:
            row = self.waiting[0]
            if not self._replies.drop_if_gone(row, now):
                if not fits([*taken, row]):
                    break
                taken.append(row)
                row.started = row.started or now
                self.observer.row_admitted(now - row.queued)
            self.waiting.popleft()
            self._prepared_bytes -= row.prepared_bytes
            self._count(-1)
        self._prepare_ahead()
        return taken

    def put_back(self, rows: Sequence[ScheduledRow[RowT]]) -> None:
        """Put rows that were taken and found no memory at the head of the queue."""
        if not rows:
            return
        with self.lock:
            for row in reversed(rows):
                self._wait(row, first=True)
            self._count(len(rows))

    def close(self) -> None:
        """Refuse further rows, and wake the device thread."""
        with self.lock:
            self.closed = True
            self.lock.notify()
        self._preparing.shutdown()

    def clear(self) -> list[ScheduledRow[RowT]]:
        """Remove all rows that wait; returns them. After `close`."""
        with self.lock:
            rows = [*self.waiting, *(row for row, _ in self._unprepared)]
            self.waiting.clear()
            self._unprepared.clear()
            self._prepared_bytes = 0
            self._count(-len(rows))
        return rows

    def _prepare_ahead(self) -> None:
        """Have further jobs prepared, unless the rows that wait have bytes enough. With the lock held.

        `close` shuts the pool down only after it has set `closed`. The bytes of rows in preparation are not known yet:
        there may be as many rows too much as there are threads.
        """
        while self._unprepared and not self.closed and self._in_preparation < self._threads:
            if self._prepared_bytes >= self.limits.prepared:
                return
            self._in_preparation += 1
            self._preparing.submit(self._prepare, *self._unprepared.popleft())

    def _wait(self, row: ScheduledRow[RowT], *, first: bool = False) -> None:
        """Append a prepared row to those that wait, or put it before them. With the lock held."""
        row.prepared_bytes = row.model_row.nbytes
        self._prepared_bytes += row.prepared_bytes
        if first:
            self.waiting.appendleft(row)
        else:
            self.waiting.append(row)

    def _prepare(self, row: ScheduledRow[RowT], job: Job) -> None:
        started = time.monotonic()
        try:
            if not self._replies.drop_if_gone(row, started):
                prepared = self.model.prepare(job)
                self._check_size(prepared)
                row.prepared = prepared
        except Exception as error:
            self._replies.fail(row, error)
        row.queued = time.monotonic()
        row.prepare_seconds = row.queued - started
        with self.lock:
            self._in_preparation -= 1
            if row.prepared is not None and row.cancelled:
                row.prepared = None
                self.observer.row_dropped("cancelled")
            if row.prepared is None:
                self._count(-1)
            else:
                self._wait(row)
                self.lock.notify()
            self._prepare_ahead()

    def _check_size(self, prepared: RowT) -> None:
        """Raises ImageTooLarge or PromptTooLong for a row that is larger than a whole batch may be."""
        if prepared.cost > self.limits.cost:
            raise errors.ImageTooLarge(
                f"The pictures take {prepared.cost} tokens or tiles; the model's whole batch may have "
                f"{self.limits.cost}; LOOKSEE_<MODEL>_MAX_BATCH_IMAGE_TOKENS or _TILES raises the limit."
            )
        held = self.model.held_bytes(1, prepared.slots)
        if held > self.limits.memory:
            raise errors.PromptTooLong(
                f"Pictures, prompt and an answer of {prepared.max_new_tokens} tokens take {held:,} bytes of keys and "
                f"values; the model's whole batch may have {self.limits.memory:,}; fewer new tokens take less, and "
                "LOOKSEE_<MODEL>_MAX_BATCH_BYTES raises the limit.",
                param="prompt",
            )

    def _count(self, rows: int) -> None:
        """Count so many rows more that are not running. With the lock held."""
        self.admitted += rows
        self.observer.waiting_rows(self.admitted)
