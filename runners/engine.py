"""Continuous batching: a waiting row joins at the next step, a row is answered the moment it ends.

One device thread owns the model and runs one tick after another:

    drop what was cancelled or is overdue -> prefill the newcomers that fit -> join -> step all -> answer the ended

A failure never takes its neighbours along: rows of a failed prefill are prefilled one by one, and rows of a failed step
are prefilled again, alone, with the tokens they already have; the one that fails again gets the error, the others run
on. Knows nothing of torch: the tests drive it with a toy model.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic

import errors
from models.base import BatchT, Model, RowT
from runners.entry import Entry, Pace
from vision.tasks import Answer, Failure, Job

logger = logging.getLogger("looksee.engine")


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """`queue` counts rows admitted but not running; `rows` and `cost` bound the running batch."""

    queue: int
    rows: int
    cost: int


class Observer:
    """Hears what happens in an engine. This one ignores it."""

    def waiting(self, rows: int) -> None: ...
    def running(self, rows: int) -> None: ...
    def admitted(self, queue_seconds: float) -> None: ...
    def prefilled(self, rows: int) -> None: ...
    def stepped(self, rows: int) -> None: ...
    def first_token(self, seconds: float) -> None: ...
    def dropped(self, reason: str) -> None: ...


class Engine(Generic[RowT, BatchT]):
    """Runs one model. `submit` may be called from any event loop; `close` ends the threads."""

    def __init__(
        self,
        model: Model[RowT, BatchT],
        limits: EngineLimits,
        *,
        prepare_threads: int = 2,
        observer: Observer | None = None,
    ) -> None:
        self.model, self.limits = model, limits
        self.observer = observer or Observer()
        self._lock = threading.Condition()
        self._waiting: deque[Entry[RowT]] = deque()
        self._admitted = 0  # rows being prepared or waiting
        self._closed = False
        self._entries: list[Entry[RowT]] = []
        self._batch: BatchT | None = None
        self._arriving: list[Entry[RowT]] = []
        self._pace = Pace()
        self._last_finish = 0.0
        self._preparing = ThreadPoolExecutor(prepare_threads, thread_name_prefix="prepare")
        self._device = threading.Thread(target=self._run, name="device", daemon=True)
        self._device.start()

    async def submit(self, job: Job, *, timeout: float) -> Answer:
        """Answer one job. Never raises for the job's own troubles: they come as the answer's failure.

        Cancelling the awaiting task drops the row from the batch at the next step.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def answer(result: Answer) -> None:
            def deliver() -> None:
                if not future.done():
                    future.set_result(result)

            with contextlib.suppress(RuntimeError):  # the caller's loop has ended, and the caller with it
                loop.call_soon_threadsafe(deliver)

        now = time.monotonic()
        entry: Entry[RowT] = Entry(answer, deadline=now + timeout, submitted=now)
        refusal = self._admit()
        if refusal is not None:
            return Answer(failure=Failure.of(refusal))
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
        for entry in [*self._entries, *self._waiting]:
            self._fail(entry, errors.ModelNotReady("The model was released; try again.", retry_after=1))
        self._entries.clear()
        self._waiting.clear()

    @property
    def busy(self) -> bool:
        """Whether any row is admitted or running."""
        with self._lock:
            return self._admitted > 0 or bool(self._entries)

    # -- admission and preparation, on the callers' and the preparing threads

    def _admit(self) -> errors.LookseeError | None:
        with self._lock:
            if self._closed:
                return errors.ModelNotReady("The model is being released; try again.", retry_after=1)
            if self._admitted >= self.limits.queue:
                self.observer.dropped("queue_full")
                wait = self._pace.wait(self._admitted + len(self._entries))
                return errors.Overloaded("The model's queue is full; try again later.", retry_after=wait)
            self._admitted += 1
            self.observer.waiting(self._admitted)
        return None

    def _prepare(self, entry: Entry[RowT], job: Job) -> None:
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
                self._lock.wait_for(lambda: self._closed or self._waiting or self._entries)
                if self._closed:
                    break
            try:
                self._tick()
            except Exception:  # a fault of the engine's own: nobody may be left waiting
                logger.exception("the engine failed; its running rows are answered with an error")
                for entry in [*self._entries, *self._arriving]:
                    self._fail(entry, errors.RunnerFailed("The model failed; try again."))
                self._entries, self._batch = [], None

    def _tick(self) -> None:
        self._drop_gone()
        self._arriving = self._take()
        if self._arriving:
            self._prefill(self._arriving)
        self._arriving = []
        if self._entries:
            self._step()
        self.observer.running(len(self._entries))

    def _take(self) -> list[Entry[RowT]]:
        """The waiting entries that fit the running batch, oldest first."""
        taken: list[Entry[RowT]] = []
        now = time.monotonic()
        cost = sum(entry.ready_row.cost for entry in self._entries)
        with self._lock:
            while self._waiting and len(self._entries) + len(taken) < self.limits.rows:
                entry = self._waiting[0]
                if not self._gone(entry, now):
                    if cost + entry.ready_row.cost > self.limits.cost:
                        break
                    cost += entry.ready_row.cost
                    taken.append(entry)
                    entry.started = now
                    self.observer.admitted(now - entry.queued)
                self._waiting.popleft()
                self._leave_queue()
        return taken

    def _prefill(self, entries: list[Entry[RowT]]) -> None:
        """Prefill newcomers together; if that fails, one by one, so that the failing one fails alone."""
        try:
            batch = self.model.prefill([entry.ready_row for entry in entries])
        except Exception as error:
            if len(entries) == 1:
                self._fail(entries[0], error)
                return
            logger.warning("a prefill of %d rows failed (%s); retrying them one by one", len(entries), error)
            for entry in entries:
                self._prefill([entry])
            return
        self.observer.prefilled(len(entries))
        try:
            self._join(entries, batch)
        except Exception as error:
            self._rescue([*self._entries, *entries], error)

    def _join(self, entries: list[Entry[RowT]], batch: BatchT) -> None:
        self._batch = batch if self._batch is None else self.model.join(self._batch, batch)
        self._entries = [*self._entries, *entries]

    def _step(self) -> None:
        assert self._batch is not None  # rows run only in a batch
        entries = self._entries
        try:
            self.model.step(self._batch)
            self.model.read_out(self._batch)
        except Exception as error:
            self._rescue(entries, error)
            return
        self.observer.stepped(len(entries))
        for entry in entries:
            entry.stepped(len(entries))
            if len(entry.ready_row.tokens) == 1:
                self.observer.first_token(time.monotonic() - entry.submitted)
        self._answer_ended()

    def _rescue(self, entries: list[Entry[RowT]], error: Exception) -> None:
        """After a failed step or join: each row alone, from its prompt and the tokens it has, then together again."""
        logger.warning("a step of %d rows failed (%s); retrying them one by one", len(entries), error)
        self._entries, self._batch = [], None
        for entry in entries:
            if entry.ready_row.finish is not None:  # the read-out failed after this row
                self._succeed(entry)
                continue
            try:
                batch = self.model.prefill([entry.ready_row])
                self.model.step(batch)  # the verb that failed must work for this row before others join it
                self.model.read_out(batch)
                self._join([entry], batch)
            except Exception as own:
                self._fail(entry, own)
        self._answer_ended()

    def _drop_gone(self) -> None:
        """Take the rows nobody waits for out of the running batch."""
        now = time.monotonic()
        keep = [index for index, entry in enumerate(self._entries) if not self._gone(entry, now)]
        if len(keep) < len(self._entries):
            self._keep(keep)

    def _answer_ended(self) -> None:
        """Answer the rows that ended; the others stay."""
        ended = [entry for entry in self._entries if entry.ready_row.finish is not None]
        if not ended:
            return
        now = time.monotonic()
        # Since the last answer, or since these rows started when nothing ran before them.
        since = max(self._last_finish, min(entry.started for entry in self._entries))
        self._pace.finished(len(ended), now - since)
        self._last_finish = now
        for entry in ended:
            self._succeed(entry)
        self._keep([index for index, entry in enumerate(self._entries) if entry.ready_row.finish is None])

    def _keep(self, keep: list[int]) -> None:
        """Only these rows stay in the running batch."""
        self._entries = [self._entries[index] for index in keep]
        self._batch = self.model.leave(self._batch, keep) if keep and self._batch is not None else None

    # -- answers

    def _succeed(self, entry: Entry[RowT]) -> None:
        try:
            outcome = self.model.outcome(entry.ready_row)
        except Exception as error:
            self._fail(entry, error)
        else:
            entry.answer(Answer(outcome=outcome, timing=entry.timing()))

    def _fail(self, entry: Entry[RowT], error: Exception) -> None:
        if not isinstance(error, errors.LookseeError):
            logger.error("a row failed", exc_info=error)
            error = errors.RunnerFailed("The model failed on this request.")
        self.observer.dropped(error.code)
        entry.answer(Answer(failure=Failure.of(error), timing=entry.timing()))

    def _gone(self, entry: Entry[RowT], now: float) -> bool:
        """Whether nobody waits for this row any more; an overdue one is told so."""
        if entry.cancelled:
            self.observer.dropped("cancelled")
            return True
        if now >= entry.deadline:
            self._fail(entry, errors.DeadlineExceeded("The request was not answered within its time."))
            return True
        return False
