"""The gateway's side of a runner: whose weights it has, what state it is in, and the way for jobs to it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from bentoml.exceptions import BentoMLException

from looksee.core.tasks import Call, Failure, Identity, Job, Reply, Status
from looksee.gateway.broadcast import Listener
from looksee.gateway.load_clock import OnWait
from looksee.gateway.runner_channel import LOST, RunnerChannel, failed, overdue

T = TypeVar("T")

_IDENTITY_FRESH = 10.0  # seconds after which a runner is asked again whose weights it has
_STATUS_TIMEOUT = 2.0
_GRACE = 5.0  # seconds an order may take beyond the time that it was given


class RunnerClient:
    """Talks to one runner through its BentoML proxy, local or remote."""

    def __init__(self, model: str, proxy: Any, *, room: int = 2**31) -> None:
        """`room`: jobs that may be under way at a time."""
        self.model = model
        self._proxy = proxy
        self._courier = RunnerChannel(model, proxy, room)
        self._identity: Identity | None = None
        self._asked = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    async def identity(self) -> Identity | None:
        """Whose answers this runner gives. The last known one while it does not answer; None if it never did."""
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
        """As `RunnerChannel.ask`."""
        answer, identity = await self._courier.ask(
            job, timeout=timeout, request_id=request_id, listener=listener, on_wait=on_wait
        )
        if identity is not None:
            self._identity, self._asked = identity, time.monotonic()
        return answer, identity

    def check_room(self) -> None:
        """Raises Overloaded where no more jobs are taken."""
        self._courier.check_room()

    async def load(self, *, timeout: float) -> Status:
        """Have the weights loaded. Raises RunnerFailed, DeadlineExceeded, ModelNotReady and WeightsUnavailable."""
        return await self._done(lambda: self._proxy.to_async.load(), timeout)

    async def unload(self, *, timeout: float) -> Status:
        """Have the weights released. Raises RunnerFailed, DeadlineExceeded, and ModelNotReady if it stays at work."""
        return await self._done(lambda: self._proxy.to_async.unload(), timeout)

    async def status(self) -> Status | None:
        """The runner's state; None when it does not answer at once."""
        try:
            async with asyncio.timeout(_STATUS_TIMEOUT):
                status: Status = (await self._proxy.to_async.status()).status
        except (aiohttp.ClientError, BentoMLException, OSError):  # a TimeoutError is an OSError
            return None
        return status

    async def rehearse(self) -> None:
        """Go the way of a job once, with none: connections, identities and schemas are made when they are first needed,
        and a caller would wait for that.
        """
        with contextlib.suppress(aiohttp.ClientError, BentoMLException, OSError):
            await self.identity()
            async with asyncio.timeout(_STATUS_TIMEOUT):
                async for _ in self._proxy.to_async.infer(call=Call(uuid.uuid4().hex, [])):
                    pass

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
