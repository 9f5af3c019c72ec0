"""Admission and preparation: the rows of an engine before they run.

A job is admitted or refused at once, prepared in a thread, and waits until the device thread takes its row. I6 and I9
are those of `looksee.engine.engine`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic

from looksee.core import errors
from looksee.core.tasks import Job
from looksee.core.throughput import ThroughputEstimate
from looksee.engine.observer import EngineObserver
from looksee.engine.replies import Replies
from looksee.engine.row import ScheduledRow
from looksee.models.interface import Model, RowT


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Bounds, all at least 1. `queue`: rows that are admitted but not running. `rows` and `cost`: the running batch, in
    rows and in the unit of `Row.cost`. `prefill`: the rows of one prefill, during which the running rows wait.
    """

    queue: int
    rows: int
    cost: int
    prefill: int = 8


class AdmissionQueue(Generic[RowT]):
    """The rows that are being prepared or wait. `submit` may be called on any thread, `take` on the device thread."""

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
        self.admitted = 0  # rows being prepared or waiting (I6)
        self.closed = False
        self._preparing = ThreadPoolExecutor(threads, thread_name_prefix="prepare")

    def submit(self, row: ScheduledRow[RowT], job: Job, running: int) -> errors.LookseeError | None:
        """Count the row and have it prepared; or the reason why it is refused. `running` rows are beside the queue."""
        with self.lock:
            if self.closed:
                return errors.ModelNotReady("The model is being released; try again.", retry_after=1)
            if self.admitted >= self.limits.queue:
                self.observer.row_dropped("queue_full")
                wait = self.throughput.wait(self.admitted + running)
                return errors.Overloaded("The model's queue is full; try again later.", retry_after=wait)
            self.admitted += 1
            self.observer.waiting_rows(self.admitted)
            # With the lock held: `close` shuts the pool down only after it has set `closed`.
            self._preparing.submit(self._prepare, row, job)
        return None

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
            self._count_out()
        return taken

    def put_back(self, rows: Sequence[ScheduledRow[RowT]]) -> None:
        """Put rows that were taken and found no memory at the head of the queue."""
        if not rows:
            return
        with self.lock:
            self.waiting.extendleft(reversed(rows))
            self.admitted += len(rows)
            self.observer.waiting_rows(self.admitted)

    def close(self) -> None:
        """Refuse further rows, and wake the device thread."""
        with self.lock:
            self.closed = True
            self.lock.notify()
        self._preparing.shutdown()

    def clear(self) -> list[ScheduledRow[RowT]]:
        """Remove all rows that wait; returns them. After `close`."""
        with self.lock:
            rows = [*self.waiting]
            self.admitted -= len(rows)
            self.waiting.clear()
        return rows

    def _prepare(self, row: ScheduledRow[RowT], job: Job) -> None:
        started = time.monotonic()
        try:
            if not self._replies.drop_if_gone(row, started):
                prepared = self.model.prepare(job)
                if prepared.cost > self.limits.cost:
                    raise errors.ImageTooLarge(
                        f"The pictures take {prepared.cost} tokens or tiles; the model's whole batch may have "
                        f"{self.limits.cost}; LOOKSEE_<MODEL>_MAX_BATCH_IMAGE_TOKENS or _TILES raises the limit."
                    )
                row.prepared = prepared
        except Exception as error:
            self._replies.fail(row, error)
        row.queued = time.monotonic()
        row.prepare_seconds = row.queued - started
        with self.lock:
            if row.prepared is None:
                self._count_out()
            else:
                self.waiting.append(row)
                self.lock.notify()

    def _count_out(self) -> None:
        """Count one admitted row less. With the lock held."""
        self.admitted -= 1
        self.observer.waiting_rows(self.admitted)
