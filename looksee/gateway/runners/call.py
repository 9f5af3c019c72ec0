"""One call to a runner: the jobs in it, and their replies as they come."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from bentoml.exceptions import BentoMLException
from pydantic import TypeAdapter

from looksee.core import errors
from looksee.core.tasks import Ask, Call, Event, Identity, Job, Reply
from looksee.gateway.broadcast import Listener
from looksee.gateway.load_clock import JobTime
from looksee.gateway.runners.lost_runners import HandedOver
from looksee.watching import spans

logger = logging.getLogger("looksee.gateway")

RunnerReply = tuple[Reply, Identity | None]

_EVENT = TypeAdapter(Event)
_MOST_SENDS, _MOST_SENDS_REFUSED = 4, 2  # of a job in a row that the runner does not acknowledge
_MOST_STARTS, _MOST_STARTS_ALONE = 3, 2  # of a job whose runner was lost; fewer where it was alone in the last call
_CANCEL_TIMEOUT = 5.0  # seconds


@dataclass(slots=True, eq=False)
class PendingJob:
    """A job without a reply."""

    job: Job
    time: JobTime
    request_id: str
    listener: Listener | None
    reply: asyncio.Future[RunnerReply]
    ask_id: tuple[str, int] | None = None  # in a call that is open: the call's id, and the job's number in it
    streamed: bool = False  # whether the listener has got anything
    sends: int = 0  # since the last start
    starts: int = 0  # sends that a runner acknowledged
    acknowledged: bool = False  # in the call that is open
    trace: spans.Carrier = field(default_factory=spans.carrier)  # the caller's, when it asked

    def may_be_sent_again(self, trouble: Exception, *, alone: bool) -> bool:
        """After its connection was lost to this trouble. Whoever has heard the beginning is not told it again."""
        refused = isinstance(trouble, aiohttp.ClientConnectorError)  # by a host without a runner, not by a dead one's
        most = _MOST_SENDS_REFUSED if refused else _MOST_SENDS
        return self.sends < most and self.may_be_begun_again(alone=alone)

    def may_be_begun_again(self, *, alone: bool) -> bool:
        """By this runner or another one. A job that was `alone` when its runner was lost is likelier to be why."""
        return not self.streamed and self.starts < (_MOST_STARTS_ALONE if alone else _MOST_STARTS)

    def hand_over(self, error: errors.LookseeError, *, suspect: bool) -> None:
        """Leave it to another runner, which cannot go on where the caller has heard the beginning."""
        if not self.reply.done():
            self.time.wait(0.0)
            self.reply.set_exception(error if self.streamed else HandedOver(error, self.starts, suspect=suspect))

    @property
    def size(self) -> int:
        """Bytes of its pictures."""
        return sum(map(len, self.job.images))


async def stream(proxy: Any, jobs: Sequence[PendingJob], opened: Callable[[], None]) -> AsyncGenerator[None, None]:
    """Send the jobs and give each its pieces and its reply. Yields each time that something was heard.

    `opened` is called when the runner has acknowledged the call.
    """
    call = Call(uuid.uuid4().hex, [])
    now = time.monotonic()
    for number, pending in enumerate(jobs):
        pending.ask_id = (call.id, number)
        pending.sends += 1
        rest = max(0.0, pending.time.deadline - now)
        followed, apart = pending.listener is not None, pending.time.stands_still
        call.asks.append(Ask(pending.job, rest, pending.request_id, followed, apart, pending.trace))
    acknowledged = False
    unread = b""
    async for chunk in proxy.to_async.infer(call=call):
        if not acknowledged:
            acknowledged = True
            for pending in jobs:
                pending.starts, pending.sends, pending.acknowledged = pending.starts + 1, 0, True
            opened()
        *lines, unread = (unread + chunk).split(b"\n")
        for line in filter(None, lines):
            _deliver(jobs, _EVENT.validate_json(line))
        yield


async def cancel(model: str, proxy: Any, ask_ids: Sequence[tuple[str, int]]) -> None:
    """Tell a runner that nobody waits for these jobs; one that cannot be told finds out when their call is closed."""
    try:
        async with asyncio.timeout(_CANCEL_TIMEOUT):
            await proxy.to_async.cancel(ask_ids=ask_ids)
    except (aiohttp.ClientError, BentoMLException, OSError) as error:  # a TimeoutError is an OSError
        logger.info("%d jobs of %s could not be cancelled: %s", len(ask_ids), model, type(error).__name__)


def _deliver(jobs: Sequence[PendingJob], event: Event) -> None:
    pending = jobs[event.ask]
    if pending.reply.done():  # cancelled
        return
    if event.reply is not None:
        pending.reply.set_result((event.reply, event.identity))
    elif event.wait is not None:
        pending.time.wait(event.wait)
    elif pending.listener is not None:
        pending.streamed = True
        pending.listener(event.text)
