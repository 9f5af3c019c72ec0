"""The gateway's side of a model: whose weights answer, what state they are in, and the way for jobs to its runners."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp
from bentoml.exceptions import BentoMLException

from looksee.core import errors
from looksee.core.tasks import Call, Failure, Identity, Job, Reply, Status
from looksee.gateway.broadcast import Listener
from looksee.gateway.load_clock import MovingDeadline, OnWait
from looksee.gateway.runners.call import RunnerReply
from looksee.gateway.runners.lost_runners import LOST, HandedOver, failed, overdue
from looksee.gateway.runners.replica import Reach, Replica

T = TypeVar("T")

_IDENTITY_FRESH = 10.0  # seconds after which a runner is asked again whose weights it has
_REHEARSAL_SECONDS = 2.0
_GRACE = 5.0  # seconds an order may take beyond the time that it was given
# What a runner says when it cannot take the job at present: nothing is wrong with the job.
_NOT_NOW = frozenset({errors.ModelNotReady.code, errors.WeightsUnavailable.code, errors.Overloaded.code})
_STATES = ("ready", "loading", "waiting", "unloaded", "failed")  # the best first


class RunnerClient:
    """Talks to the runners of one model: one on this machine, or one or several on others.

    A job goes to the one that is least busy. What a runner does not answer another one is given, once each.
    """

    def __init__(self, model: str, proxy: Any, *, room: int = 2**31, rows: int = 1) -> None:
        """Of the runner behind BentoML's `proxy`. `room`: jobs that may be under way at a time, of which `rows` are
        decoded together.
        """
        self.model = model
        self.replicas: Sequence[Replica] = [Replica(model, "local", proxy, room=room, rows=rows)]
        self._identity: Identity | None = None
        self._asked = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    @classmethod
    def of_several(cls, model: str, remote: Mapping[str, tuple[Any, Reach]], *, room: int, rows: int) -> RunnerClient:
        """Of runners on other hosts: the proxy of each by its name, and what its host does with a connection."""
        client = cls(model, None)
        client.replicas = [
            Replica(model, name, proxy, room=room, rows=rows, reach=reach, elsewhere=client._has_another)
            for name, (proxy, reach) in remote.items()
        ]
        return client

    async def identity(self) -> Identity | None:
        """Whose answers this model gives. The last known one while no runner answers; None if none ever did."""
        if self._identity is None or self._identity.fingerprint is None:
            await self._refresh()
        elif time.monotonic() - self._asked > _IDENTITY_FRESH and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(lambda _: setattr(self, "_refreshing", None))
        return self._identity

    async def ask(
        self,
        job: Job,
        *,
        timeout: float,
        request_id: str,
        listener: Listener | None = None,
        on_wait: OnWait | None = None,
    ) -> tuple[Reply, Identity | None]:
        """As `RunnerChannel.ask`, of the least busy runner, and of the next one where that gives no answer."""
        deadline = MovingDeadline(timeout, on_wait)
        heard = False

        def hear(text: str) -> None:
            nonlocal heard
            heard = True
            assert listener is not None
            listener(text)

        left = list(self.replicas)
        handed = HandedOver(errors.RunnerFailed("The model gave no answer."), 0, suspect=False)
        found: RunnerReply | None = None
        chosen = self._chosen(left, job)
        while True:
            left.remove(chosen)
            try:
                found = await chosen.channel.ask(
                    job,
                    timeout=deadline.left(),
                    request_id=request_id,
                    listener=hear if listener is not None else None,
                    starts=handed.starts,
                    suspect=handed.suspect,
                    on_wait=None if on_wait is None else deadline.wait,
                )
            except HandedOver as trouble:
                handed = trouble
            finally:
                chosen.count_jobs()
            others = [one for one in left if one.up and one.channel.has_room and (found is None or one.is_ready)]
            is_over = found is not None and (heard or not _is_refused(found[0]))
            if is_over or not others or deadline.left() <= 0:
                break
            chosen.count_retry()
            chosen = self._chosen(others, job)
        if found is None:
            raise handed.error
        if found[1] is not None:
            self._identity, self._asked = found[1], time.monotonic()
        return found

    def check_room(self) -> None:
        """Raises Overloaded where no more jobs are taken."""
        self._chosen(self.replicas, None).channel.check_room()

    async def load(self, *, timeout: float) -> Status:
        """Have the weights loaded by every runner that answers.

        Raises RunnerFailed, DeadlineExceeded, ModelNotReady and WeightsUnavailable.
        """
        return await self._ordered("load", timeout)

    async def unload(self, *, timeout: float) -> Status:
        """Have every runner that answers release its weights.

        Raises RunnerFailed, DeadlineExceeded, and ModelNotReady where one stays at work.
        """
        return await self._ordered("unload", timeout)

    async def status(self) -> Status | None:
        """The state of all runners in one; None when none of them answers at once."""
        self._watch()
        asked = [one for one in self.replicas if one.up] or self.replicas
        found = [status for status in await asyncio.gather(*(one.status() for one in asked)) if status is not None]
        return _together(found) if found else None

    async def close(self) -> None:
        """Ask the runners no more."""
        await asyncio.gather(*(one.close() for one in self.replicas))

    def _chosen(self, among: Sequence[Replica], job: Job | None) -> Replica:
        """The least busy one of those that are up and have room; where none is, of the others."""
        self._watch()
        best = [one for one in among if one.up and one.channel.has_room] or [one for one in among if one.up] or among
        if len(best) == 1 or job is None:
            return best[0]
        least = min(one.load() for one in best)
        free = [one for one in best if one.load() == least]
        return free[0] if len(free) == 1 else max(free, key=lambda one: one.affinity(job))

    def _has_another(self, replica: Replica) -> bool:
        return any(one.up and one.channel.has_room for one in self.replicas if one is not replica)

    def _watch(self) -> None:
        for one in self.replicas:
            one.watch()

    async def _ordered(self, order: str, timeout: float) -> Status:
        """The state after an order to all that are up, or the first error."""
        self._watch()
        asked = [one for one in self.replicas if one.up] or self.replicas
        orders = (self._done(lambda one=one: getattr(one.proxy.to_async, order)(), timeout) for one in asked)  # type: ignore[misc]
        found = await asyncio.gather(*orders, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return _together([one for one in found if isinstance(one, Status)])

    async def rehearse(self) -> None:
        """Go the way of a job once, with none: connections, identities and schemas are made when they are first needed,
        and a caller would wait for that.
        """
        await self.identity()
        await asyncio.gather(*(_rehearse(one) for one in self.replicas if one.up))

    async def _done(self, ask: Callable[[], Awaitable[Any]], timeout: float) -> Status:
        """The state after something was done, or the error that the runner tells."""
        reported = await self._ask(ask, timeout)
        if reported.failure is not None:
            failure: Failure = reported.failure
            raise failure.error()
        status: Status = reported.status
        return status

    async def _ask(self, ask: Callable[[], Awaitable[T]], timeout: float) -> T:
        """The answer to `ask`, which may be made twice. Raises RunnerFailed or DeadlineExceeded."""
        try:
            async with asyncio.timeout(timeout + _GRACE):
                try:
                    return await ask()
                except LOST:
                    return await ask()
        except TimeoutError:
            raise overdue(self.model) from None
        except (aiohttp.ClientError, BentoMLException, OSError) as error:
            raise failed(self.model, error) from error

    async def _refresh(self) -> None:
        status = await self.status()
        if status is not None:
            self._identity, self._asked = status.identity, time.monotonic()


async def _rehearse(replica: Replica) -> None:
    with contextlib.suppress(aiohttp.ClientError, BentoMLException, OSError):  # a TimeoutError is an OSError
        async with asyncio.timeout(_REHEARSAL_SECONDS):
            async for _ in replica.proxy.to_async.infer(call=Call(uuid.uuid4().hex, [])):
                pass


def _is_refused(reply: Reply) -> bool:
    return reply.failure is not None and reply.failure.code in _NOT_NOW


def _together(statuses: Sequence[Status]) -> Status:
    """One status of several runners: the best state, the sums of calls and memory."""
    best = min(statuses, key=lambda one: _STATES.index(one.state))
    if len(statuses) == 1:
        return best
    return replace(
        best,
        memory_bytes=_sum([one.memory_bytes for one in statuses]),
        device_bytes=_sum([one.device_bytes for one in statuses]),
        last_use=max((one.last_use for one in statuses if one.last_use is not None), default=None),
        in_flight=sum(one.in_flight for one in statuses),
        queued=sum(one.queued for one in statuses),
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
