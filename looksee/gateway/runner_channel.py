"""The way to a runner: jobs of many requests share a call, each comes back as it ends, and each may be called off.

A job that finds nobody on the way goes at once. While calls are on their way (the runner has not said yet that they
have come), further jobs gather and go together. So a lone job never waits, and many at once share what a call costs.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any

import aiohttp
from bentoml.exceptions import BentoMLException
from pydantic import TypeAdapter

from looksee.core import errors
from looksee.core.tasks import Ask, Call, Event, Identity, Job, Reply
from looksee.core.throughput import ThroughputEstimate
from looksee.gateway.broadcast import Listener

logger = logging.getLogger("looksee.gateway")

Came = tuple[Reply, Identity | None]

_EVENT = TypeAdapter(Event)
_ON_THE_WAY = 2  # calls at a time
_MOST_JOBS, _MOST_BYTES = 64, 32 * 2**20  # in one call; the first job goes whatever its size
_GRACE = 5.0  # seconds a runner gets beyond the deadline to say itself that it was missed
_CANCEL_TIMEOUT = 5.0
# The connection was closed in the moment of use, or the runner died. Nothing that is asked of it does harm twice, and a
# runner that is coming back answers from its backlog.
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError)


@dataclass(slots=True, eq=False)
class _Parcel:
    """A job on its way; `deadline` is of the monotonic clock."""

    job: Job
    deadline: float
    request_id: str
    listener: Listener | None
    came: asyncio.Future[Came]
    place: tuple[str, int] | None = None  # in a call that is under way
    told: bool = False  # whether the listener has heard anything
    tries: int = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.job.images))


class RunnerChannel:
    """Brings jobs to one runner through its BentoML proxy, local or remote. For one event loop."""

    def __init__(self, model: str, proxy: Any, room: int) -> None:
        """`room`: jobs that may be under way at a time."""
        self.model = model
        self._proxy, self._room = proxy, room
        self._under_way = 0
        self._pace, self._last_came = ThroughputEstimate(), 0.0
        self._outbox: deque[_Parcel] = deque()
        self._on_the_way = 0
        self._left: list[tuple[str, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(
        self, job: Job, *, timeout: float, request_id: str, listener: Listener | None = None
    ) -> tuple[Reply, Identity | None]:
        """The runner's answer and whose it is. A `listener` hears further pieces of the text, all before the answer.

        Raises Overloaded, and RunnerFailed or DeadlineExceeded when there is no answer at all. Cancelling it calls the
        job off.
        """
        self.check_room()
        began = time.monotonic()
        self._under_way += 1
        came: asyncio.Future[Came] = asyncio.get_running_loop().create_future()
        parcel = _Parcel(job, time.monotonic() + timeout, request_id, listener, came)
        self._outbox.append(parcel)
        if len(self._outbox) == 1:
            asyncio.get_running_loop().call_soon(self._send)  # what else is asked for in this moment goes with it
        try:
            async with asyncio.timeout(timeout + _GRACE):
                found = await came
        except TimeoutError:
            raise overdue(self.model) from None
        else:
            now = time.monotonic()
            self._pace.finished(1, now - max(self._last_came, began))
            self._last_came = now
            return found
        finally:
            self._under_way -= 1
            if not came.done() or came.cancelled():
                self._call_off(parcel)

    def check_room(self) -> None:
        """Raises Overloaded where no more jobs are taken.

        The runner counts too, for all gateways that it has; what is refused here has not cost a hop.
        """
        if self._under_way >= self._room:
            message = f"The queue of '{self.model}' is full; try again later."
            raise errors.Overloaded(message, retry_after=self._pace.wait(self._under_way))

    def _send(self) -> None:
        """Send what waits, as long as not too many calls are on their way."""
        while self._outbox and self._on_the_way < _ON_THE_WAY:
            parcels = [self._outbox.popleft()]
            size = parcels[0].size
            while self._outbox and len(parcels) < _MOST_JOBS and size + self._outbox[0].size <= _MOST_BYTES:
                parcels.append(self._outbox.popleft())
                size += parcels[-1].size
            self._on_the_way += 1
            self._start(self._carry(parcels))

    async def _carry(self, parcels: list[_Parcel]) -> None:
        """One call, from its way to the runner to its last answer."""
        error: errors.LookseeError = errors.RunnerFailed("The model gave no answer.")
        lost = False
        try:
            await self._exchange(parcels)
        except TimeoutError:
            error = overdue(self.model)
        except LOST as trouble:
            lost, error = True, failed(self.model, trouble)
        except Exception as trouble:  # nobody may be left waiting
            error = failed(self.model, trouble)
        for parcel in parcels:
            parcel.place = None
            if parcel.came.done():
                continue
            if lost and not parcel.tries and not parcel.told:
                parcel.tries += 1
                self._outbox.append(parcel)
            else:
                parcel.came.set_exception(error)
        self._send()

    async def _exchange(self, parcels: list[_Parcel]) -> None:
        call = Call(uuid.uuid4().hex, [])
        now = time.monotonic()
        for number, parcel in enumerate(parcels):
            parcel.place = (call.id, number)
            rest = max(0.0, parcel.deadline - now)
            call.asks.append(Ask(parcel.job, rest, parcel.request_id, parcel.listener is not None))
        begun = False
        unread = b""
        try:
            async for chunk in self._proxy.to_async.infer(call=call):
                if not begun:
                    begun = True
                    self._on_the_way -= 1
                    self._send()
                *lines, unread = (unread + chunk).split(b"\n")
                for line in filter(None, lines):
                    _deliver(parcels, _EVENT.validate_json(line))
        finally:
            if not begun:
                self._on_the_way -= 1

    def _call_off(self, parcel: _Parcel) -> None:
        if parcel in self._outbox:
            self._outbox.remove(parcel)
        elif parcel.place is not None:
            self._left.append(parcel.place)
            if len(self._left) == 1:
                self._start(self._cancel())

    async def _cancel(self) -> None:
        await asyncio.sleep(0)  # callers often leave together
        left, self._left = self._left, []
        try:
            async with asyncio.timeout(_CANCEL_TIMEOUT):
                await self._proxy.to_async.cancel(ask_ids=left)
        except (aiohttp.ClientError, BentoMLException, OSError) as error:  # a TimeoutError is an OSError
            logger.info("%d jobs of %s could not be called off: %s", len(left), self.model, type(error).__name__)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def overdue(model: str) -> errors.LookseeError:
    """What callers are told of a runner that does not answer in time."""
    return errors.DeadlineExceeded(f"The model '{model}' did not answer in time.")


def failed(model: str, trouble: Exception) -> errors.LookseeError:
    """What callers are told of a runner that does not answer; the log has the rest."""
    logger.error("the runner of %s failed: %s: %s", model, type(trouble).__name__, trouble)
    error = errors.RunnerFailed(f"The runner of '{model}' failed or cannot be reached; try again.", retry_after=5)
    error.__cause__ = trouble
    return error


def _deliver(parcels: list[_Parcel], event: Event) -> None:
    parcel = parcels[event.ask]
    if parcel.came.done():  # called off
        return
    if event.reply is not None:
        parcel.came.set_result((event.reply, event.identity))
    elif parcel.listener is not None:
        parcel.told = True
        parcel.listener(event.text)
