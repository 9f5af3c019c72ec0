"""Continuous batching: a waiting row joins the running batch before a step and is answered as soon as it finishes.

One device thread owns the model and runs one tick after another. Preparation (decoding pictures, building prompts) runs
beside it in threads of its own:

    event loops       submit(job)                                                       pieces, Reply
                          |  admitted, or refused at once                                    ^
    prepare threads       +-> waits -> Model.prepare -> queue                                |
                                                          |                                  |
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
I6  `AdmissionQueue.admitted` is the number of rows that are not running yet. A job is admitted only while fewer calls
    of `submit` are under way than a queue and a batch have together, whether their rows run by then or not.
I7  The pieces that a listener gets are the text of the answer, in order and without gaps, all of them before the reply.
    (Where `Model.partial` raises for a row, its pieces end there.)
I8  Rows are taken only while the batch has at most `EngineLimits.rows` rows, their cost is within `EngineLimits.cost`,
    and what they hold when the longest has grown to its end is within the budget in force. A batch without rows takes
    any one row that is not larger than a whole batch may be.
I9  Rows are taken in the order in which they were prepared; rows that are put back after memory ran out come first.
I10 A row that is prefilled again, after a failure or from the queue, goes on after the tokens it has.
I11 A row that has finished is not stepped again.

Failures are handled in `looksee.engine.batch`, rows before they run in `looksee.engine.admission`. The engine knows
nothing of torch; its tests run a toy model.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic

from looksee.core import errors
from looksee.core.tasks import Failure, Job, Reply
from looksee.engine.admission import AdmissionQueue
from looksee.engine.batch import RunningBatch, without_frames
from looksee.engine.budget import BatchBudget
from looksee.engine.limits import EngineLimits
from looksee.engine.observer import EngineObserver
from looksee.engine.prefill_policy import PrefillPolicy
from looksee.engine.replies import Replies
from looksee.engine.row import ScheduledRow, scheduled
from looksee.models.interface import BatchT, Model, RowT

logger = logging.getLogger("looksee.engine")


class Engine(Generic[RowT, BatchT]):
    """Runs one model in a device thread, from construction until `close`. `submit` works from any event loop."""

    def __init__(
        self,
        model: Model[RowT, BatchT],
        limits: EngineLimits,
        *,
        prepare_threads: int = 2,
        observer: EngineObserver | None = None,
        beginning: Callable[[], None] | None = None,
    ) -> None:
        """`beginning` is called in the device thread before the first tick: the model is nobody else's then. `begun`
        has its end, or what it raised; the engine runs on either way.
        """
        self.model, self.limits = model, limits
        self.observer = observer or EngineObserver()
        self._replies: Replies[RowT] = Replies(model, self.observer)
        self._queue = AdmissionQueue(model, limits, self._replies, self.observer, threads=prepare_threads)
        self._running: RunningBatch[RowT, BatchT] = RunningBatch(
            model, BatchBudget(limits.memory), limits.cost, self.observer, self._replies.fail
        )
        self._taken: list[ScheduledRow[RowT]] = []  # out of the queue, not yet in the batch
        self._prefill_policy = PrefillPolicy()
        self._last_finish = 0.0
        self.begun: Future[None] = Future()
        self._beginning = beginning
        self._device = threading.Thread(target=self._run, name="device", daemon=True)
        self._device.start()

    async def submit(self, job: Job, *, timeout: float, listener: Callable[[str], None] | None = None) -> Reply:
        """Answer one job within `timeout` seconds. Every failure is returned in the reply; none is raised.

        A `listener` is called on this event loop with each further piece of the text, all of them before the reply;
        together they are the text (I7). Cancelling the awaiting task drops the row before the next step (I5).
        """
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        row: ScheduledRow[RowT] = scheduled(future, listener, timeout)
        refusal = self._queue.submit(row, job)
        if refusal is not None:
            return Reply(failure=Failure.of(refusal))
        try:
            return await future
        finally:
            self._queue.leave(row)

    def close(self) -> None:
        """End the threads; rows that are not answered yet get ModelNotReady. Blocks for the tick under way."""
        self._queue.close()
        self._device.join()
        for row in [*self._running.clear(), *self._queue.clear()]:
            self._replies.fail(row, errors.ModelNotReady("The model was released; try again.", retry_after=1))

    @property
    def busy(self) -> bool:
        """Whether any row is admitted or running."""
        with self._queue.lock:
            return self._queue.admitted > 0 or bool(self._running.rows)

    # -- the device thread

    def _run(self) -> None:
        queue = self._queue
        self._begin()
        while True:
            with queue.lock:
                queue.lock.wait_for(lambda: queue.closed or queue.waiting or self._running.rows)
                if queue.closed:
                    break
            try:
                self._tick()
            except Exception:  # a fault of the engine itself: its rows must get a reply all the same (I3)
                logger.exception("the engine failed; its running rows are answered with an error")
                for row in dict.fromkeys([*self._running.clear(), *self._taken]):
                    self._replies.fail(row, errors.RunnerFailed("The model failed; try again."))

    def _begin(self) -> None:
        beginning, self._beginning = self._beginning, None
        try:
            if beginning is not None:
                beginning()
        except Exception as error:
            if not isinstance(error, errors.LookseeError):  # as a text: a record's frames would keep the model
                logger.error("the beginning failed:\n%s", "".join(traceback.format_exception(error)).rstrip())
            self.begun.set_exception(without_frames(error))
        else:
            self.begun.set_result(None)

    def _tick(self) -> None:
        now = time.monotonic()
        self._running.retain(lambda row: not self._replies.drop_if_gone(row, now))
        self._answer(self._running.pop_finished())  # repairing a failure steps rows, which may finish them
        self._taken = self._take()
        if self._taken:
            self._running.admit(self._taken)
            self._answer(self._running.pop_finished())
        self._taken = []
        if self._running.rows:
            self._running.step()
            self._stream_and_answer()
        self._queue.put_back(self._running.take_requeued())
        self.observer.running_rows(len(self._running.rows))

    def _take(self) -> list[ScheduledRow[RowT]]:
        """Take the oldest waiting rows that fit beside the running batch; none while the prefill policy defers."""
        queue, running = self._queue, len(self._running.rows)
        free = min(self.limits.prefill, self.limits.rows - running)
        with queue.lock:
            if self._prefill_policy.should_defer(min(len(queue.waiting), free), free, running):
                return []
            return queue.take(free, self._running.fits)

    def _stream_and_answer(self) -> None:
        """After a step: send the listeners their pieces and answer the rows that finished."""
        finished = self._running.pop_finished()
        self._note_tokens([*self._running.rows, *finished])
        for row in self._running.rows:
            if row.listener is not None:
                self._stream(row)
        self._answer(finished)

    def _note_tokens(self, rows: Sequence[ScheduledRow[RowT]]) -> None:
        """Tell when these rows got their latest tokens. Those of a batch that goes on share the time between two."""
        now = time.monotonic()
        for row in rows:
            if not row.first_token:
                row.first_token = now
                self.observer.first_token(now - row.submitted)
        for before, count in Counter(row.latest_token for row in rows if row.latest_token).items():
            self.observer.further_tokens(count, now - before)
        for row in rows:
            row.latest_token = now

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
            self._queue.throughput.finished(len(finished), now - since)
            self._last_finish = now
        for row in finished:
            self._replies.succeed(row)
