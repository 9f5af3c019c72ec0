"""The BentoML service that every runner is: its options, and the methods that the gateway calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any, ClassVar

import bentoml
from pydantic import BaseModel

from looksee.core import errors, logs
from looksee.core.tasks import Call, Failure, Status
from looksee.serving.bentoml_patches import LeanService
from looksee.settings import settings
from looksee.watching import processes
from looksee.watching.export import export_spans
from runners.calls import AskId, Calls
from runners.guarding.key_guard import KeyGuard
from runners.runner import Runner


class GuardedService(LeanService):
    """A BentoML service behind the key guard."""

    def to_asgi(self, is_main: bool = True) -> Any:
        app = super().to_asgi(is_main=is_main)
        configured = settings()
        app.add_middleware(KeyGuard, key=configured.runner_key, metrics_key=configured.metrics_key)
        return app


# Options of every runner's BentoML service. Left alone, BentoML 1.4.39 closes the gateway's session to a runner every
# 100 requests with the calls in flight on it, which fail (28 % of them at concurrency 32).
SERVICE: dict[str, Any] = {
    "service_class": GuardedService,
    "runner_connection": {"max_requests": 2_000_000_000, "max_age": 1e9},
}


class StatusReply(BaseModel):
    """The runner's status after a method, and the failure of that method.

    A pydantic model, because BentoML 1.4.39 makes a JSON schema at each call of a method that returns anything else,
    which took two thirds of a busy runner's event loop.
    """

    status: Status
    failure: Failure | None = None


class CancelReply(BaseModel):
    """Empty acknowledgement of a cancel request."""


class RunnerService:
    """A runner over BentoML. A subclass names its `model`."""

    model: ClassVar[str]

    def __init__(self) -> None:
        logs.configure(settings().log_format)
        processes.started(self.model)
        export_spans(settings(), self.model)
        self.runner = Runner(self.model)
        self._calls = Calls(self.runner)
        self.runner.begin()

    async def __is_ready__(self) -> bool:
        """What `/readyz` of a runner that is served alone says."""
        return self.runner.is_prepared

    @bentoml.api
    async def infer(self, call: Call) -> AsyncGenerator[bytes, None]:
        """Events of the call's jobs (`runners.calls`). They are cancelled when the gateway closes the stream."""
        async with aclosing(self._calls.answer(call)) as events:
            async for lines in events:
                yield lines

    @bentoml.api
    async def cancel(self, ask_ids: list[AskId]) -> CancelReply:
        """Drop jobs whose callers have left."""
        self._calls.cancel(ask_ids)
        return CancelReply()

    @bentoml.api
    async def status(self) -> StatusReply:
        return StatusReply(status=await self.runner.status())

    @bentoml.api
    async def load(self) -> StatusReply:
        return await self._status_after(self.runner.load())

    @bentoml.api
    async def unload(self) -> StatusReply:
        return await self._status_after(self.runner.unload())

    @bentoml.on_shutdown
    async def close(self) -> None:
        await self.runner.close()

    async def _status_after(self, method: Awaitable[None]) -> StatusReply:
        failure = None
        try:
            await method
        except errors.LookseeError as error:
            failure = Failure.of(error)
        return StatusReply(status=await self.runner.status(), failure=failure)
