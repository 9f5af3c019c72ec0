"""The context of one request: what its handler asks the models with."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from looksee.core import errors
from looksee.gateway.answering import AnsweringService, CacheableJob, Result, ServedAnswer
from looksee.http import error_params
from looksee.http.disconnect import Receive, cancel_on_disconnect, never_disconnected, stop
from looksee.http.request_info import DEADLINE, REQUEST_ID, REQUEST_INFO, Deadline, RequestInfo
from looksee.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The service and its settings, and of one request: its connection, deadline and id, and its access log record.

    `receive` is the request's ASGI receive. Without a `deadline` (no edge in front) each call to a model has the
    settings' time.
    """

    gateway: AnsweringService
    settings: Settings
    receive: Receive
    deadline: Deadline | None = None
    request_id: str = ""
    info: RequestInfo | None = None
    hold: Callable[[int], errors.LookseeError | None] | None = None

    @property
    def client(self) -> str:
        """Whose key the request carries; empty where none is asked for."""
        return "" if self.info is None else self.info.client

    def held(self, nbytes: int) -> None:
        """Count bytes that the request holds beside its body. Raises Overloaded where there is no room for them."""
        refusal = None if self.hold is None else self.hold(nbytes)
        if refusal is not None:
            raise refusal

    def time_left(self) -> float:
        """Seconds until the request is overdue; negative once it is."""
        return self.settings.request_timeout_seconds if self.deadline is None else self.deadline.left()

    def _time(self) -> dict[str, Any]:
        """The time for an answer, as `AnsweringService` takes it."""
        own = self.deadline is None or self.deadline.callers
        return {"timeout": self.time_left(), "clock": None if own else self.deadline}

    def detached(self, deadline: Deadline) -> RequestContext:
        """For a part of the request that has its own deadline and does not watch the connection. What it holds it soon
        gives back, and is not counted.
        """
        return replace(self, receive=never_disconnected, deadline=deadline, hold=None)

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, once the body has been read. Raises Cancelled when the client disconnects first."""
        return await cancel_on_disconnect(self.receive, work)

    async def answers(self, model: str, jobs: Sequence[CacheableJob]) -> list[Result]:
        """A result for each job, in order. Raises what `AnsweringService.answer` raises, and Cancelled."""
        if self.info is not None:
            self.info.model = model
        work = self.gateway.answer(model, jobs, request_id=self.request_id, **self._time())
        results = await self.while_connected(work)
        if self.info is not None:
            self.info.answers += len(results)
            self.info.cached += sum(isinstance(result, ServedAnswer) and result.cached for result in results)
        return results

    async def ask(self, model: str, job: CacheableJob, *, param: str) -> ServedAnswer:
        """The whole answer to one job. Raises its error; `param` is the caller's name of the prompt."""
        (result,) = await self.answers(model, [job])
        result = error_params.for_prompt(result, param)
        if not isinstance(result, ServedAnswer):
            raise result
        return result

    async def follow(self, model: str, job: CacheableJob, *, param: str) -> AsyncGenerator[str | ServedAnswer, None]:
        """The text of the answer in pieces, as `AnsweringService.follow` yields them, once it has `begun`.

        Raises what `ask` raises.
        """
        if self.info is not None:
            self.info.model = model
        pieces = self.gateway.follow(model, job, request_id=self.request_id, **self._time())
        return await self.begun(self._counted(pieces), param=param)

    async def begun(
        self, pieces: AsyncGenerator[str | ServedAnswer, None], *, param: str
    ) -> AsyncGenerator[str | ServedAnswer, None]:
        """The same pieces, at the first one, or without one where that takes long, as while a model loads: the
        connection must not be silent until then.

        Raises what comes before the first piece, and Cancelled; later errors are raised between the pieces. Closing the
        generator cancels the work.
        """

        async def begin() -> str | ServedAnswer:
            try:
                return await anext(pieces)
            except errors.PromptTooLong as error:
                raise error_params.renamed(error, param) from None

        first = asyncio.ensure_future(begin())
        try:
            await self.while_connected(_settled(first, self.settings.heartbeat_seconds))
            if first.done():
                first.result()
        except BaseException:
            await stop(first)
            raise
        found = _joined(first, pieces)
        # Nobody begins to read it if the caller leaves just now, and then nobody closes it either.
        weakref.finalize(found, first.cancel).atexit = False
        return found

    async def _counted(
        self, pieces: AsyncGenerator[str | ServedAnswer, None]
    ) -> AsyncGenerator[str | ServedAnswer, None]:
        last: str | ServedAnswer = ""
        async with aclosing(pieces):
            async for last in pieces:
                yield last
        if self.info is not None and isinstance(last, ServedAnswer):
            self.info.answers += 1
            self.info.cached += last.cached


async def _joined(
    first: asyncio.Future[str | ServedAnswer], rest: AsyncGenerator[str | ServedAnswer, None]
) -> AsyncGenerator[str | ServedAnswer, None]:
    async with aclosing(rest):
        yield await first
        async for piece in rest:
            yield piece


async def _settled(work: asyncio.Future[Any], seconds: float) -> None:
    """Wait for the end of `work`, at most so long. Neither its errors are raised here nor is it cancelled."""
    await asyncio.wait((work,), timeout=seconds)


@dataclass(frozen=True, slots=True)
class ContextFactory:
    """Makes the context of each request. One for each app."""

    gateway: AnsweringService
    settings: Settings

    def of(self, receive: Receive) -> RequestContext:
        """The context of the request at hand, with what the edge has set for it."""
        deadline, request_id, info = DEADLINE.get(), REQUEST_ID.get(), REQUEST_INFO.get()
        hold = None if info is None else info.hold
        return RequestContext(self.gateway, self.settings, receive, deadline, request_id, info, hold)
