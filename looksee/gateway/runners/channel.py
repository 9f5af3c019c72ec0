"""The channel to a runner: jobs of many requests share a call, each is answered when it ends and cancelled by itself.

A job that finds no call opening is sent at once. While calls are opening (sent, and not yet acknowledged by the
runner's first bytes), further jobs are queued and sent together. So a lone job never waits, and many at once share the
cost of a call.

Any of the jobs in a call may be what killed the runner. After such a loss nothing new is sent until they have been
tried again, in smaller and smaller calls, one after the other: so the job that kills is found after two or three
restarts, and all others are answered.

Where the model has other runners, a job that none has begun is handed over to one of them: it is not worth waiting for
a restart. Suspects stay, since they could end one runner after the other, until theirs cannot be reached any more.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from looksee.core import errors
from looksee.core.tasks import Job
from looksee.core.throughput import ThroughputEstimate
from looksee.gateway.broadcast import Listener
from looksee.gateway.load_clock import JobTime, OnWait
from looksee.gateway.runners.call import PendingJob, RunnerReply, cancel, stream
from looksee.gateway.runners.lost_runners import LOST, failed, is_turned_away, overdue, unreachable

_MAX_OPENING = 2  # calls at a time
_MAX_JOBS, _MAX_BYTES = 64, 32 * 2**20  # in one call; the first job is sent whatever its size
_GRACE = 5.0  # seconds a runner gets beyond the deadline to reply itself that it was missed
_PARTS = 8  # calls that the jobs of a lost call are tried again in: halves would take more restarts
_RESEND_WAIT = 0.1  # seconds before a job is sent for the third time in a row; twice as long before the next


class RunnerChannel:
    """Sends jobs to one runner through its BentoML proxy, local or remote. For one event loop."""

    def __init__(
        self,
        model: str,
        proxy: Any,
        room: int,
        *,
        elsewhere: Callable[[], bool] = lambda: False,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        """`room`: jobs that may be pending. `elsewhere`: whether another runner takes one. `on_loss`: a call failed."""
        self.model = model
        self.last_heard = 0.0  # when the runner last sent anything, of the monotonic clock
        self._proxy, self._room = proxy, room
        self._elsewhere, self._on_loss = elsewhere, on_loss
        self._pending = 0
        self._throughput, self._last_reply = ThroughputEstimate(), 0.0
        self._queue: deque[PendingJob] = deque()
        self._suspects: deque[list[PendingJob]] = deque()  # calls to make one after the other, before the queue's
        self._trying = False  # whether one of these is under way
        self._moved: deque[PendingJob] = deque()  # suspects of other runners, to be tried alone beside the queue's
        self._trying_moved = False  # the same of these
        self._calls: dict[asyncio.Task[None], list[PendingJob]] = {}  # under way
        self._given_up: set[asyncio.Task[None]] = set()  # those of them that nothing is expected of any more
        self._opening = 0
        self._cancelled: list[tuple[str, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        job: Job,
        *,
        timeout: float,
        request_id: str,
        listener: Listener | None = None,
        starts: int = 0,
        suspect: bool = False,
        on_wait: OnWait | None = None,
    ) -> RunnerReply:
        """The runner's reply, and which weights gave it. A `listener` gets the text's pieces, all before the reply.
        With `on_wait`, which is told, the timeout stands still while the runner loads. `starts` and `suspect` are of
        the HandedOver that another runner's channel raised.

        Raises Overloaded, RunnerFailed or DeadlineExceeded when there is no reply at all, and HandedOver where another
        runner may give one. Cancelling it cancels the job in the runner.
        """
        self.check_room()
        started = time.monotonic()
        self._pending += 1
        reply: asyncio.Future[RunnerReply] = asyncio.get_running_loop().create_future()
        pending = PendingJob(job, JobTime(timeout, _GRACE, on_wait), request_id, listener, reply, starts=starts)
        (self._moved if suspect else self._queue).append(pending)
        if suspect or len(self._queue) == 1:
            asyncio.get_running_loop().call_soon(self._send)  # jobs that are asked for in the same tick go with it
        try:
            async with pending.time.clock:
                found = await reply
        except TimeoutError:
            raise overdue(self.model) from None
        else:
            now = time.monotonic()
            self._throughput.finished(1, now - max(self._last_reply, started))
            self._last_reply = now
            return found
        finally:
            if not reply.done() or reply.cancelled():
                self._cancel(pending)
            else:
                self._pending -= 1

    @property
    def has_room(self) -> bool:
        """Whether a job would be taken."""
        return self._pending < self._room

    @property
    def pending(self) -> int:
        """Jobs without a reply."""
        return self._pending

    @property
    def is_on_trial(self) -> bool:
        """Whether the runner was lost, and the jobs that may have been the reason are tried again."""
        return self._trying or bool(self._suspects)

    def give_up(self) -> None:
        """The runner's host is cut off: all jobs are handed over, those that it has begun too."""
        for task in self._calls:
            self._given_up.add(task)
            task.cancel()
        self._hand_over(self._queue, suspect=False)
        for jobs in (self._moved, *self._suspects):
            self._hand_over(jobs, suspect=True)
        for waiting in (self._queue, self._moved, self._suspects):
            waiting.clear()

    def spare_unbegun(self) -> None:
        """The runner does not take jobs at present: those that it has not begun are handed over, if they can be."""
        if not self._elsewhere():
            return
        for task, jobs in self._calls.items():
            if not any(one.acknowledged or one.starts for one in jobs):
                self._given_up.add(task)
                task.cancel()
        self._hand_over([one for one in self._queue if not one.starts], suspect=False)
        self._queue = deque(one for one in self._queue if not one.reply.done())

    def _hand_over(self, jobs: Iterable[PendingJob], *, suspect: bool, trouble: BaseException | None = None) -> None:
        error = unreachable(self.model, trouble)
        for pending in jobs:
            pending.hand_over(error, suspect=suspect)

    def check_room(self) -> None:
        """Raises Overloaded where no more jobs are taken.

        The runner counts too, for all gateways that it has; a refusal here costs no hop.
        """
        if not self.has_room:
            message = f"The queue of '{self.model}' is full; try again later."
            raise errors.Overloaded(message, retry_after=self._throughput.wait(self._pending))

    def _send(self) -> None:
        """Send queued jobs, as long as not too many calls are opening and there are no suspects."""
        if self._suspects and not self._trying:
            self._trying = True
            self._opening += 1
            self._start(self._try_suspects(self._suspects.popleft()))
        elif self._moved and not self._trying_moved:
            self._trying_moved = True
            self._opening += 1
            self._start(self._try_suspects([self._moved.popleft()], moved=True))
        while self._queue and self._opening < _MAX_OPENING and not self._trying:
            jobs = [self._queue.popleft()]
            size = jobs[0].size
            while self._queue and len(jobs) < _MAX_JOBS and size + self._queue[0].size <= _MAX_BYTES:
                jobs.append(self._queue.popleft())
                size += jobs[-1].size
            self._opening += 1
            self._start(self._run_call(jobs))

    async def _try_suspects(self, jobs: list[PendingJob], *, moved: bool = False) -> None:
        """One call, until it ends or nobody waits for it any more: a runner may hang instead of dying."""
        call = self._start(self._run_call(jobs))
        replies = asyncio.gather(*(one.reply for one in jobs), return_exceptions=True)
        await asyncio.wait((call, replies), return_when=asyncio.FIRST_COMPLETED)
        self._trying, self._trying_moved = self._trying and moved, self._trying_moved and not moved
        self._send()

    async def _run_call(self, jobs: list[PendingJob]) -> None:
        """One call, until its last reply. Jobs of a lost connection are sent again, or handed over."""
        error: errors.LookseeError = errors.RunnerFailed("The model gave no answer.")
        again: list[PendingJob] = []
        jobs = [one for one in jobs if not one.reply.done()]  # a caller may have left since they were taken
        task: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment]
        self._calls[task] = jobs
        try:
            await self._stream_call(jobs)
        except asyncio.CancelledError:
            if task not in self._given_up:
                raise
            task.uncancel()
            self._hand_over(jobs, suspect=False)
        except Exception as trouble:  # every job needs an end
            error, again = self._after(trouble, jobs)
        finally:
            del self._calls[task]
            self._given_up.discard(task)
        for pending in jobs:
            pending.ask_id, pending.acknowledged = None, False
            if not pending.reply.done():
                pending.time.wait(0.0)
                if pending not in again:
                    pending.reply.set_exception(error)
        sends = max((one.sends for one in again), default=0)
        if sends > 1:
            await asyncio.sleep(_RESEND_WAIT * 2 ** (sends - 2))
        self._send_again([one for one in again if not one.reply.done()], error)
        self._send()

    def _after(self, trouble: Exception, jobs: list[PendingJob]) -> tuple[errors.LookseeError, list[PendingJob]]:
        """The error for the jobs of a call that failed, and those of them that are to be sent again."""
        nowhere, alone = is_turned_away(trouble), len(jobs) == 1
        lost = isinstance(trouble, LOST) and not isinstance(trouble, TimeoutError)
        if nowhere or lost:
            self._on_loss()
        if isinstance(trouble, TimeoutError) and not (nowhere and self._elsewhere()):
            return overdue(self.model), []
        error = failed(self.model, trouble)
        if not (nowhere or lost):
            return error, []
        if any(one.acknowledged for one in jobs):  # the process has ended
            self.spare_unbegun()
        left = [one for one in jobs if not one.reply.done()]
        again = [one for one in left if lost and one.may_be_sent_again(trouble, alone=alone)]
        if self._elsewhere():
            # A connection that was kept open may just have been closed: that is tried here once more.
            staying = [] if nowhere else [one for one in again if one.starts or one.sends == 1]
            leaving = [one for one in left if one not in staying and one.may_be_begun_again(alone=alone)]
            self._hand_over([one for one in leaving if one.starts], suspect=True, trouble=trouble)
            self._hand_over(leaving, suspect=False, trouble=trouble)
        return error, [one for one in again if not one.reply.done()]

    def _send_again(self, jobs: list[PendingJob], error: errors.LookseeError) -> None:
        """Jobs of one lost call, back into the queue, or among the suspects once the runner has begun them."""
        now = time.monotonic()
        for pending in jobs:
            if pending.time.deadline <= now:
                pending.reply.set_exception(error)
        jobs = [one for one in jobs if not one.reply.done()]
        self._queue.extend(one for one in jobs if not one.starts)
        suspects = [one for one in jobs if one.starts]
        if suspects and suspects[0].sends:  # the runner was not there: the same call again
            self._suspects.appendleft(suspects)
        elif suspects:
            size = -(-len(suspects) // _PARTS)
            parts = [suspects[start : start + size] for start in range(0, len(suspects), size)]
            self._suspects.extendleft(reversed(parts))

    async def _stream_call(self, jobs: list[PendingJob]) -> None:
        opening = True

        def opened() -> None:
            nonlocal opening
            opening = False
            self._opening -= 1
            self._send()

        try:
            if jobs:
                async for _ in stream(self._proxy, jobs, opened):
                    self.last_heard = time.monotonic()
        finally:
            if opening:
                self._opening -= 1

    def _cancel(self, pending: PendingJob) -> None:
        """A job that was sent counts until the runner knows that it is cancelled: it is counted there until then, and
        a job that was sent in its place might find no room.
        """
        if pending not in self._queue and pending.ask_id is not None:
            self._cancelled.append(pending.ask_id)
            if len(self._cancelled) == 1:
                self._start(self._send_cancelled())
            return
        self._pending -= 1
        if pending in self._queue:
            self._queue.remove(pending)  # a suspect that waits is passed over when it is its turn

    async def _send_cancelled(self) -> None:
        await asyncio.sleep(0)  # callers often leave together
        cancelled, self._cancelled = self._cancelled, []
        try:
            await cancel(self.model, self._proxy, cancelled)
        finally:
            self._pending -= len(cancelled)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
