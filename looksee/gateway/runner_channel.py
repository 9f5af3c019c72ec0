"""The channel to a runner: jobs of many requests share a call, each is answered when it ends and cancelled by itself.

A job that finds no call opening is sent at once. While calls are opening (sent, and not yet acknowledged by the
runner's first bytes), further jobs are queued and sent together. So a lone job never waits, and many at once share the
cost of a call.

Any of the jobs in a call may be what killed the runner. After such a loss nothing new is sent until they have been
tried again, in smaller and smaller calls, one after the other: so the job that kills is found after two or three
restarts, and all others are answered.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from bentoml.exceptions import BentoMLException
from pydantic import TypeAdapter

from looksee.core import errors
from looksee.core.tasks import Ask, Call, Event, Identity, Job, Reply
from looksee.core.throughput import ThroughputEstimate
from looksee.gateway.broadcast import Listener
from looksee.watching import spans

logger = logging.getLogger("looksee.gateway")

RunnerReply = tuple[Reply, Identity | None]

_EVENT = TypeAdapter(Event)
_MAX_OPENING = 2  # calls at a time
_MAX_JOBS, _MAX_BYTES = 64, 32 * 2**20  # in one call; the first job is sent whatever its size
_GRACE = 5.0  # seconds a runner gets beyond the deadline to reply itself that it was missed
_MOST_SENDS, _MOST_SENDS_REFUSED = 4, 2  # of a job in a row that the runner does not acknowledge
_MOST_STARTS, _MOST_STARTS_ALONE = 3, 2  # of a job whose runner was lost; fewer where it was alone in the last call
_PARTS = 8  # calls that the jobs of a lost call are tried again in: halves would take more restarts
_RESEND_WAIT = 0.1  # seconds before a job is sent for the third time in a row; twice as long before the next
_CANCEL_TIMEOUT = 5.0  # seconds
# The connection was closed while it was used, or the runner died: then all connections that are kept open are dead, and
# each may be tried before a new one is made, which a runner that is restarting answers from its backlog.
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError)


@dataclass(slots=True, eq=False)
class _PendingJob:
    """A job without a reply; `deadline` is of the monotonic clock."""

    job: Job
    deadline: float
    request_id: str
    listener: Listener | None
    reply: asyncio.Future[RunnerReply]
    ask_id: tuple[str, int] | None = None  # in a call that is open: the call's id, and the job's number in it
    streamed: bool = False  # whether the listener has got anything
    sends: int = 0  # since the last start
    starts: int = 0  # sends that the runner acknowledged
    trace: spans.Carrier = field(default_factory=spans.carrier)  # of the span that it is made in

    def may_be_sent_again(self, trouble: Exception, *, alone: bool) -> bool:
        """After its connection was lost to this trouble. Whoever has heard the beginning is not told it again."""
        refused = isinstance(trouble, aiohttp.ClientConnectorError)  # by a host without a runner, not by a dead one's
        most = _MOST_SENDS_REFUSED if refused else _MOST_SENDS
        most_starts = _MOST_STARTS_ALONE if alone else _MOST_STARTS
        return not self.streamed and self.sends < most and self.starts < most_starts

    @property
    def size(self) -> int:
        """Bytes of its pictures."""
        return sum(map(len, self.job.images))


class RunnerChannel:
    """Sends jobs to one runner through its BentoML proxy, local or remote. For one event loop."""

    def __init__(self, model: str, proxy: Any, room: int) -> None:
        """`room`: jobs that may be pending at a time."""
        self.model = model
        self._proxy, self._room = proxy, room
        self._pending = 0
        self._throughput, self._last_reply = ThroughputEstimate(), 0.0
        self._queue: deque[_PendingJob] = deque()
        self._suspects: deque[list[_PendingJob]] = deque()  # calls to make one after the other, before the queue's
        self._trying = False  # whether one of these is under way
        self._opening = 0
        self._cancelled: list[tuple[str, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, job: Job, *, timeout: float, request_id: str, listener: Listener | None = None) -> RunnerReply:
        """The runner's reply, and which weights gave it. A `listener` gets the text's pieces, all before the reply.

        Raises Overloaded, and RunnerFailed or DeadlineExceeded when there is no reply at all. Cancelling it cancels the
        job in the runner.
        """
        self.check_room()
        started = time.monotonic()
        self._pending += 1
        reply: asyncio.Future[RunnerReply] = asyncio.get_running_loop().create_future()
        pending = _PendingJob(job, started + timeout, request_id, listener, reply)
        self._queue.append(pending)
        if len(self._queue) == 1:
            asyncio.get_running_loop().call_soon(self._send)  # jobs that are asked for in the same tick go with it
        try:
            async with asyncio.timeout(timeout + _GRACE):
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

    def check_room(self) -> None:
        """Raises Overloaded where no more jobs are taken.

        The runner counts too, for all gateways that it has; a refusal here costs no hop.
        """
        if self._pending >= self._room:
            message = f"The queue of '{self.model}' is full; try again later."
            raise errors.Overloaded(message, retry_after=self._throughput.wait(self._pending))

    def _send(self) -> None:
        """Send queued jobs, as long as not too many calls are opening and there are no suspects."""
        if self._suspects and not self._trying:
            self._trying = True
            self._opening += 1
            self._start(self._try_suspects(self._suspects.popleft()))
        while self._queue and self._opening < _MAX_OPENING and not self._trying:
            jobs = [self._queue.popleft()]
            size = jobs[0].size
            while self._queue and len(jobs) < _MAX_JOBS and size + self._queue[0].size <= _MAX_BYTES:
                jobs.append(self._queue.popleft())
                size += jobs[-1].size
            self._opening += 1
            self._start(self._run_call(jobs))

    async def _try_suspects(self, jobs: list[_PendingJob]) -> None:
        """One call, until it ends or nobody waits for it any more: a runner may hang instead of dying."""
        call = self._start(self._run_call(jobs))
        replies = asyncio.gather(*(one.reply for one in jobs), return_exceptions=True)
        await asyncio.wait((call, replies), return_when=asyncio.FIRST_COMPLETED)
        self._trying = False
        self._send()

    async def _run_call(self, jobs: list[_PendingJob]) -> None:
        """One call, until its last reply. Jobs of a lost connection are sent again."""
        error: errors.LookseeError = errors.RunnerFailed("The model gave no answer.")
        again: list[_PendingJob] = []
        jobs = [one for one in jobs if not one.reply.done()]  # a caller may have left since they were taken
        try:
            await self._stream_call(jobs)
        except TimeoutError:
            error = overdue(self.model)
        except LOST as trouble:
            error = failed(self.model, trouble)
            alone = len(jobs) == 1
            again = [one for one in jobs if not one.reply.done() and one.may_be_sent_again(trouble, alone=alone)]
        except Exception as trouble:  # every job needs an end
            error = failed(self.model, trouble)
        for pending in jobs:
            pending.ask_id = None
            if not pending.reply.done() and pending not in again:
                pending.reply.set_exception(error)
        sends = max((one.sends for one in again), default=0)
        if sends > 1:
            await asyncio.sleep(_RESEND_WAIT * 2 ** (sends - 2))
        self._send_again([one for one in again if not one.reply.done()], error)
        self._send()

    def _send_again(self, jobs: list[_PendingJob], error: errors.LookseeError) -> None:
        """Jobs of one lost call, back into the queue, or among the suspects once the runner has begun them."""
        now = time.monotonic()
        for pending in jobs:
            if pending.deadline <= now:
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

    async def _stream_call(self, jobs: list[_PendingJob]) -> None:
        if not jobs:
            self._opening -= 1
            return
        call = Call(uuid.uuid4().hex, [])
        now = time.monotonic()
        for number, pending in enumerate(jobs):
            pending.ask_id = (call.id, number)
            pending.sends += 1
            rest = max(0.0, pending.deadline - now)
            call.asks.append(Ask(pending.job, rest, pending.request_id, pending.listener is not None, pending.trace))
        acknowledged = False
        unread = b""
        try:
            async for chunk in self._proxy.to_async.infer(call=call):
                if not acknowledged:
                    acknowledged = True
                    for pending in jobs:
                        pending.starts, pending.sends = pending.starts + 1, 0
                    self._opening -= 1
                    self._send()
                *lines, unread = (unread + chunk).split(b"\n")
                for line in filter(None, lines):
                    _deliver(jobs, _EVENT.validate_json(line))
        finally:
            if not acknowledged:
                self._opening -= 1

    def _cancel(self, pending: _PendingJob) -> None:
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
            async with asyncio.timeout(_CANCEL_TIMEOUT):
                await self._proxy.to_async.cancel(ask_ids=cancelled)
        except (aiohttp.ClientError, BentoMLException, OSError) as error:  # a TimeoutError is an OSError
            logger.info("%d jobs of %s could not be cancelled: %s", len(cancelled), self.model, type(error).__name__)
        finally:
            self._pending -= len(cancelled)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def overdue(model: str) -> errors.LookseeError:
    """The error for a runner that does not reply in time."""
    return errors.DeadlineExceeded(f"The model '{model}' did not answer in time.")


def failed(model: str, trouble: Exception) -> errors.LookseeError:
    """The error for a runner that cannot be reached or breaks off; the details are logged, not sent to callers."""
    logger.error("the runner of %s failed: %s: %s", model, type(trouble).__name__, trouble)
    error = errors.RunnerFailed(f"The runner of '{model}' failed or cannot be reached; try again.", retry_after=5)
    error.__cause__ = trouble
    return error


def _deliver(jobs: list[_PendingJob], event: Event) -> None:
    pending = jobs[event.ask]
    if pending.reply.done():  # cancelled
        return
    if event.reply is not None:
        pending.reply.set_result((event.reply, event.identity))
    elif pending.listener is not None:
        pending.streamed = True
        pending.listener(event.text)
