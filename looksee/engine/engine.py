"""Continuous batching: a waiting row joins at the next step, a row is answered the moment it ends.

One device thread owns the model and runs one tick after another:

    drop what was cancelled or is overdue -> prefill the newcomers that fit -> join -> step all -> answer the ended

What becomes of failures is in `looksee.engine.batch`. Knows nothing of torch: the tests drive it with a toy model.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
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
from looksee.engine.row import ScheduledRow
from looksee.models.interface import BatchT, Model, RowT

logger = logging.getLogger("looksee.engine")


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """`queue` counts rows admitted but not running; `rows` and `cost` bound the running batch.

    `prefill` bounds the newcomers of one tick: the running rows wait for their prefill.
    """

    queue: int
    rows: int
    cost: int
    prefill: int = 8


class Engine(Generic[RowT, BatchT]):
    """Runs one model. `submit` may be called from any event loop; `close` ends the threads."""

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
        self._admitted = 0  # rows being prepared or waiting
        self._closed = False
        self._running: RunningBatch[RowT, BatchT] = RunningBatch(
            model, BatchBudget(limits.cost), self.observer, self._fail
        )
        self._arriving: list[ScheduledRow[RowT]] = []
        self._company = PrefillPolicy()
        self._pace = ThroughputEstimate()
        self._last_finish = 0.0
        self._preparing = ThreadPoolExecutor(prepare_threads, thread_name_prefix="prepare")
        self._device = threading.Thread(target=self._run, name="device", daemon=True)
        self._device.start()

    async def submit(self, job: Job, *, timeout: float, listener: Callable[[str], None] | None = None) -> Reply:
        """Answer one job. Never raises for the job's own troubles: they come as the answer's failure.

        A `listener` is called on this event loop with each further piece of the text, all of them before the answer;
        together they are its text. Cancelling the awaiting task drops the row from the batch at the next step.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()

        def soon(call: Callable[..., None], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the caller's loop has ended, and the caller with it
                loop.call_soon_threadsafe(call, *arguments)

        def deliver(result: Reply) -> None:
            if not future.done():
                future.set_result(result)

        def hear(piece: str) -> None:
            if listener is not None and not future.done():
                listener(piece)

        now = time.monotonic()
        entry: ScheduledRow[RowT] = ScheduledRow(
            reply=functools.partial(soon, deliver),
            listener=functools.partial(soon, hear) if listener is not None else None,
            deadline=now + timeout,
            submitted=now,
        )
        refusal = self._admit()
        if refusal is not None:
            return Reply(failure=Failure.of(refusal))
        self._preparing.submit(self._prepare, entry, job)
        try:
            return await future
        finally:
            entry.cancelled = True  # no matter once it is answered

    def close(self) -> None:
        """End the threads; rows under way are answered with an error."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._preparing.shutdown()
        self._device.join()
        for entry in [*self._running.clear(), *self._waiting]:
            self._fail(entry, errors.ModelNotReady("The model was released; try again.", retry_after=1))
        self._waiting.clear()

    @property
    def busy(self) -> bool:
        """Whether any row is admitted or running."""
        with self._lock:
            return self._admitted > 0 or bool(self._running.entries)

    # -- admission and preparation, on the callers' and the preparing threads

    def _admit(self) -> errors.LookseeError | None:
        with self._lock:
            if self._closed:
                return errors.ModelNotReady("The model is being released; try again.", retry_after=1)
            if self._admitted >= self.limits.queue:
                self.observer.dropped("queue_full")
                wait = self._pace.wait(self._admitted + len(self._running.entries))
                return errors.Overloaded("The model's queue is full; try again later.", retry_after=wait)
            self._admitted += 1
            self.observer.waiting(self._admitted)
        return None

    def _prepare(self, entry: ScheduledRow[RowT], job: Job) -> None:
        started = time.monotonic()
        try:
            if not self._gone(entry, started):
                row = self.model.prepare(job)
                if row.cost > self.limits.cost:
                    raise errors.ImageTooLarge("The request is larger than the model's whole batch may be.")
                entry.row = row
        except Exception as error:
            self._fail(entry, error)
        entry.queued = time.monotonic()
        entry.prepare_seconds = entry.queued - started
        with self._lock:
            if entry.row is None:
                self._leave_queue()
            else:
                self._waiting.append(entry)
                self._lock.notify()

    def _leave_queue(self) -> None:
        self._admitted -= 1
        self.observer.waiting(self._admitted)

    # -- the device thread

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._waiting or self._running.entries)
                if self._closed:
                    break
            try:
                self._tick()
            except Exception:  # a fault of the engine's own: nobody may be left waiting
                logger.exception("the engine failed; its running rows are answered with an error")
                for entry in [*self._running.clear(), *self._arriving]:
                    self._fail(entry, errors.RunnerFailed("The model failed; try again."))

    def _tick(self) -> None:
        now = time.monotonic()
        self._running.keep(lambda entry: not self._gone(entry, now))
        self._arriving = self._take(now)
        if self._arriving:
            self._put_back(self._running.admit(self._arriving))
            self._answer(self._running.pop_finished())  # a failed join is repaired with a step, in which rows may end
        self._arriving = []
        if self._running.entries:
            self._put_back(self._running.step())
            self._pass_on()
        self.observer.running(len(self._running.entries))

    def _take(self, now: float) -> list[ScheduledRow[RowT]]:
        """The waiting entries that fit beside the running batch, oldest first; none while they wait for company."""
        taken: list[ScheduledRow[RowT]] = []
        cost = 0
        room = min(self.limits.prefill, self.limits.rows - len(self._running.entries))
        with self._lock:
            if self._company.should_defer(min(len(self._waiting), room), room, len(self._running.entries)):
                return taken
            while self._waiting and len(taken) < room:
                entry = self._waiting[0]
                if not self._gone(entry, now):
                    cost += entry.ready_row.cost
                    if not self._running.fits(cost) or (taken and cost > self._running.cap.now):
                        break
                    taken.append(entry)
                    entry.started = entry.started or now
                    self.observer.admitted(now - entry.queued)
                self._waiting.popleft()
                self._leave_queue()
        return taken

    def _put_back(self, entries: Sequence[ScheduledRow[RowT]]) -> None:
        """Entries that were admitted and found no memory wait first in the queue."""
        if not entries:
            return
        with self._lock:
            self._waiting.extendleft(reversed(entries))
            self._admitted += len(entries)
            self.observer.waiting(self._admitted)

    def _pass_on(self) -> None:
        """After a step: text to those who listen, answers to those whose rows ended."""
        ended = self._running.pop_finished()
        for entry in [*self._running.entries, *ended]:
            if len(entry.ready_row.tokens) == 1:
                self.observer.first_token(time.monotonic() - entry.submitted)
        for entry in self._running.entries:
            if entry.listener is not None:
                self._tell(entry)
        self._answer(ended)

    def _tell(self, entry: ScheduledRow[RowT]) -> None:
        try:
            entry.tell(self.model.partial(entry.ready_row))
        except Exception:  # this row's text, nobody else's; its end may still be told
            entry.context.run(logger.exception, "the text of a running row could not be told")
            entry.listener = None

    def _answer(self, ended: Sequence[ScheduledRow[RowT]]) -> None:
        if ended:
            now = time.monotonic()
            # Since the last answer, or since these rows started when nothing ran before them.
            since = max(self._last_finish, min(entry.started for entry in [*self._running.entries, *ended]))
            self._pace.finished(len(ended), now - since)
            self._last_finish = now
        for entry in ended:
            self._succeed(entry)

    # -- answers

    def _succeed(self, entry: ScheduledRow[RowT]) -> None:
        try:
            outcome = self.model.answer(entry.ready_row)
        except Exception as error:
            self._fail(entry, error)
        else:
            entry.tell(outcome.text)
            entry.reply(Reply(answer=outcome, timing=entry.timing()))

    def _fail(self, entry: ScheduledRow[RowT], error: Exception) -> None:
        if not isinstance(error, errors.LookseeError):
            entry.context.run(logger.error, "a row failed", exc_info=error)
            error = errors.RunnerFailed("The model failed on this request.")
        self.observer.dropped(error.code)
        entry.reply(Reply(failure=Failure.of(error), timing=entry.timing()))

    def _gone(self, entry: ScheduledRow[RowT], now: float) -> bool:
        """Whether nobody waits for this row any more; an overdue one is told so."""
        if entry.cancelled:
            self.observer.dropped("cancelled")
            return True
        if now >= entry.deadline:
            self._fail(entry, errors.DeadlineExceeded("The request was not answered within its time."))
            return True
        return False
