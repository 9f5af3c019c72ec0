"""Continuous batching: a waiting row joins the running batch before a step and is answered as soon as it finishes.

One device thread owns the model and runs one tick after another. Preparation (decoding pictures, building prompts) runs
beside it in threads of its own:

    event loops       submit(job)                                                       pieces, Reply
                          |  admitted, or refused at once                                    ^
    prepare threads       +-> Model.prepare -> queue                                         |
                                                 |                                           |
    device thread     | retain | take | prefill | add_rows | pop | step | sample | pop | stream, answer |  next tick
                      `- drop   `- oldest        `- the new rows   `- all rows      `- finished rows
                         cancelled  first, within   only, the         one token each
                         and        rows and        running rows
                         overdue    budget          wait for it

`pop` after `add_rows` answers rows that finished while a failed join was repaired. A tick without new rows goes from
`retain` to `step`.

Invariants; tests cite the numbers:

I1  The rows of a `RunningBatch` are in the order of the rows in the model's batch, after every verb.
I2  One thread calls the verbs of the model. `prepare` alone runs in other threads.
I3  Every submitted job gets exactly one reply, unless its caller has left: an answer, a failure of its own, or the
    failure of an engine that is closed or at fault.
I4  An exception of prefill, add_rows, step or sample fails only rows for which one is raised again when they are
    computed alone, or join the batch after that. Rows beside them run on.
I5  A row whose caller has left or whose deadline has passed is dropped before the next prefill or step: at most the
    tick under way is computed for it, and a row that is still in the queue is never prefilled.
I6  `_admitted` is the number of rows that are being prepared or wait in the queue. A job is admitted only while it is
    below `EngineLimits.queue`.
I7  The pieces that a listener gets are the text of the answer, in order and without gaps, all of them before the reply.
    (Where `Model.partial` raises for a row, its pieces end there.)
I8  Rows are taken only while the batch has at most `EngineLimits.rows` rows and their cost is within the budget in
    force. A batch without rows takes one row of any cost up to `EngineLimits.cost`.
I9  Rows are taken in the order in which they were prepared; rows that are put back after memory ran out come first.
I10 A row that is prefilled again, after a failure or from the queue, goes on after the tokens it has.
I11 A row that has finished is not stepped again.

Failures are handled in `looksee.engine.batch`. The engine knows nothing of torch; its tests run a toy model.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic

from looksee.core import errors
from looksee.core.tasks import Failure, Job, Reply
from looksee.core.throughput import ThroughputEstimate
from looksee.engine.batch import RunningBatch
from looksee.engine.budget import BatchBudget
from looksee.engine.observer import EngineObserver
from looksee.engine.prefill_policy import PrefillPolicy
from looksee.engine.row import ScheduledRow, scheduled
from looksee.models.interface import BatchT, Model, RowT

logger = logging.getLogger("looksee.engine")


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Bounds, all at least 1. `queue`: rows that are admitted but not running. `rows` and `cost`: the running batch, in
    rows and in the unit of `Row.cost`. `prefill`: the rows of one prefill, during which the running rows wait.
    """

    queue: int
    rows: int
    cost: int
    prefill: int = 8


class Engine(Generic[RowT, BatchT]):
    """Runs one model in a device thread, from construction until `close`. `submit` works from any event loop."""

    def __init__(
        self,
        model: Model[RowT, BatchT],
        limits: EngineLimits,
        *,
        prepare_threads: int = 2,
        observer: EngineObserver | None = None,
    ) -> None:
        self.model, self.limits = model, limits
        self.observer = observer or EngineObserver()
        self._lock = threading.Condition()
        self._waiting: deque[ScheduledRow[RowT]] = deque()
        self._admitted = 0  # rows being prepared or waiting (I6)
        self._closed = False
        self._running: RunningBatch[RowT, BatchT] = RunningBatch(
            model, BatchBudget(limits.cost), self.observer, self._fail
        )
        self._taken: list[ScheduledRow[RowT]] = []  # out of the queue, not yet in the batch
        self._prefill_policy = PrefillPolicy()
        self._throughput = ThroughputEstimate()
        self._last_finish = 0.0
        self._preparing = ThreadPoolExecutor(prepare_threads, thread_name_prefix="prepare")
        self._device = threading.Thread(target=self._run, name="device", daemon=True)
        self._device.start()

    async def submit(self, job: Job, *, timeout: float, listener: Callable[[str], None] | None = None) -> Reply:
        """Answer one job within `timeout` seconds. Every failure is returned in the reply; none is raised.

        A `listener` is called on this event loop with each further piece of the text, all of them before the reply;
        together they are the text (I7). Cancelling the awaiting task drops the row before the next step (I5).
        """
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        row: ScheduledRow[RowT] = scheduled(future, listener, timeout)
        refusal = self._admit(row, job)
        if refusal is not None:
            return Reply(failure=Failure.of(refusal))
        try:
            return await future
        finally:
            row.cancelled = True  # without effect on a row that is answered

    def close(self) -> None:
        """End the threads; rows that are not answered yet get ModelNotReady. Blocks for the tick under way."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._preparing.shutdown()
        self._device.join()
        for row in [*self._running.clear(), *self._waiting]:
            self._fail(row, errors.ModelNotReady("The model was released; try again.", retry_after=1))
        with self._lock:
            self._admitted -= len(self._waiting)
            self._waiting.clear()

    @property
    def busy(self) -> bool:
        """Whether any row is admitted or running."""
        with self._lock:
            return self._admitted > 0 or bool(self._running.rows)

    # -- admission and preparation, on the callers' and the preparing threads

    def _admit(self, row: ScheduledRow[RowT], job: Job) -> errors.LookseeError | None:
        """Count the row and have it prepared; or the reason why it is refused."""
        with self._lock:
            if self._closed:
                return errors.ModelNotReady("The model is being released; try again.", retry_after=1)
            if self._admitted >= self.limits.queue:
                self.observer.row_dropped("queue_full")
                wait = self._throughput.wait(self._admitted + len(self._running.rows))
                return errors.Overloaded("The model's queue is full; try again later.", retry_after=wait)
            self._admitted += 1
            self.observer.waiting_rows(self._admitted)
            # With the lock held: `close` shuts the pool down only after it has set `_closed`.
            self._preparing.submit(self._prepare, row, job)
        return None

    def _prepare(self, row: ScheduledRow[RowT], job: Job) -> None:
        started = time.monotonic()
        try:
            if not self._drop_if_gone(row, started):
                prepared = self.model.prepare(job)
                if prepared.cost > self.limits.cost:
                    raise errors.ImageTooLarge(
                        f"The pictures take {prepared.cost} tokens or tiles; the model's whole batch may have "
                        f"{self.limits.cost}; LOOKSEE_<MODEL>_MAX_BATCH_IMAGE_TOKENS or _TILES raises the limit."
                    )
                row.prepared = prepared
        except Exception as error:
            self._fail(row, error)
        row.queued = time.monotonic()
        row.prepare_seconds = row.queued - started
        with self._lock:
            if row.prepared is None:
                self._count_out()
            else:
                self._waiting.append(row)
                self._lock.notify()

    def _count_out(self) -> None:
        """Count one admitted row less. With the lock held."""
        self._admitted -= 1
        self.observer.waiting_rows(self._admitted)

    # -- the device thread

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._waiting or self._running.rows)
                if self._closed:
                    break
            try:
                self._tick()
            except Exception:  # a fault of the engine itself: its rows must get a reply all the same (I3)
                logger.exception("the engine failed; its running rows are answered with an error")
                for row in dict.fromkeys([*self._running.clear(), *self._taken]):
                    self._fail(row, errors.RunnerFailed("The model failed; try again."))

    def _tick(self) -> None:
        now = time.monotonic()
        self._running.retain(lambda row: not self._drop_if_gone(row, now))
        self._answer(self._running.pop_finished())  # repairing a failure steps rows, which may finish them
        self._taken = self._take(now)
        if self._taken:
            self._running.admit(self._taken)
            self._answer(self._running.pop_finished())
        self._taken = []
        if self._running.rows:
            self._running.step()
            self._stream_and_answer()
        self._put_back(self._running.take_requeued())
        self.observer.running_rows(len(self._running.rows))

    def _take(self, now: float) -> list[ScheduledRow[RowT]]:
        """Take the oldest waiting rows that fit beside the running batch; none while the prefill policy defers."""
        taken: list[ScheduledRow[RowT]] = []
        cost = 0
        free = min(self.limits.prefill, self.limits.rows - len(self._running.rows))
        with self._lock:
            if self._prefill_policy.should_defer(min(len(self._waiting), free), free, len(self._running.rows)):
                return taken
            while self._waiting and len(taken) < free:
                row = self._waiting[0]
                if not self._drop_if_gone(row, now):
                    cost += row.cost
                    if not self._running.fits(cost) or (taken and cost > self._running.budget.current):
                        break
                    taken.append(row)
                    row.started = row.started or now
                    self.observer.row_admitted(now - row.queued)
                self._waiting.popleft()
                self._count_out()
        return taken

    def _put_back(self, rows: Sequence[ScheduledRow[RowT]]) -> None:
        """Put rows that were taken and found no memory at the head of the queue."""
        if not rows:
            return
        with self._lock:
            self._waiting.extendleft(reversed(rows))
            self._admitted += len(rows)
            self.observer.waiting_rows(self._admitted)

    def _stream_and_answer(self) -> None:
        """After a step: send the listeners their pieces and answer the rows that finished."""
        finished = self._running.pop_finished()
        for row in [*self._running.rows, *finished]:
            if len(row.model_row.tokens) == 1:
                self.observer.first_token(time.monotonic() - row.submitted)
        for row in self._running.rows:
            if row.listener is not None:
                self._stream(row)
        self._answer(finished)

    def _stream(self, row: ScheduledRow[RowT]) -> None:
        try:
            row.stream(self.model.partial(row.model_row))
        except Exception:  # of this row's text alone: the row runs on, and its reply may still be an answer
            row.context.run(logger.exception, "the text of a running row could not be streamed")
            row.listener = None

    def _answer(self, finished: Sequence[ScheduledRow[RowT]]) -> None:
        if finished:
            now = time.monotonic()
            # Busy time: since the last answer, or since these rows started when nothing ran before them.
            since = max(self._last_finish, min(row.started for row in [*self._running.rows, *finished]))
            self._throughput.finished(len(finished), now - since)
            self._last_finish = now
        for row in finished:
            self._succeed(row)

    # -- replies

    def _succeed(self, row: ScheduledRow[RowT]) -> None:
        try:
            answer = self.model.answer(row.model_row)
        except Exception as error:
            self._fail(row, error)
        else:
            row.stream(answer.text)
            row.reply(Reply(answer=answer, timing=row.timing()))

    def _fail(self, row: ScheduledRow[RowT], error: Exception) -> None:
        if not isinstance(error, errors.LookseeError):
            row.context.run(logger.error, "a row failed", exc_info=error)
            error = errors.RunnerFailed("The model failed on this request.")
        self.observer.row_dropped(error.code)
        row.reply(Reply(failure=Failure.of(error), timing=row.timing()))

    def _drop_if_gone(self, row: ScheduledRow[RowT], now: float) -> bool:
        """Whether the row's caller has left or its deadline has passed; an overdue row gets DeadlineExceeded."""
        if row.cancelled:
            self.observer.row_dropped("cancelled")
            return True
        if now >= row.deadline:
            self._fail(row, errors.DeadlineExceeded("The request was not answered within its time."))
            return True
        return False
