"""Weights that are fetched because a client asks for them, with the progress as Ollama's clients read it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.http.answers import sse
from looksee.http.context import RequestContext
from looksee.http.dialects.ollama import names, replies
from looksee.http.dialects.ollama.requests import PullBody
from looksee.http.edge.access.api_keys import ApiKeys, presented
from looksee.models.registry import REGISTRY
from looksee.models.weights.hub import HubError
from looksee.models.weights.source import WeightsSource, resolve
from looksee.settings import Settings

_BETWEEN = 0.2  # seconds between two lines about the progress


def check_key(headers: Headers, settings: Settings) -> None:
    """Raises MissingKey or WrongKey. Without an API_KEY anybody may, as anybody's first request to a model may."""
    keys = ApiKeys([settings.api_key])
    if settings.debug or not keys:
        return
    given = presented(headers)
    if not given:
        raise errors.MissingKey("Send the service's API_KEY, in X-API-Key or as Authorization: Bearer.")
    if keys.holder(given) is None:
        raise errors.WrongKey("The key is not the service's API_KEY.")


@dataclass(eq=False)
class _Download:
    """One that runs in a thread. `here` is what it has told: bytes present, bytes in total."""

    fetching: asyncio.Future[Path] = field(init=False)
    here: tuple[int, int] = (0, 0)
    waiting: int = 0  # callers
    left: threading.Event = field(default_factory=threading.Event)

    def tell(self, here: int, total: int) -> None:
        """Raises HubError once nobody waits, which ends the download; what has come is kept."""
        self.here = here, total
        if self.left.is_set():
            raise HubError("Nobody waits for the weights any more.")


class Pulls:
    """The downloads of one app. Callers that ask for the same weights wait for one download.

    It has threads of its own: a download may wait for another process that fetches the same file, and whatever else the
    gateway does in threads must not wait with it.
    """

    def __init__(self) -> None:
        self._running: dict[str, _Download] = {}
        self._threads = ThreadPoolExecutor(len(REGISTRY), "looksee-pull")

    async def answer(self, context: RequestContext, body: PullBody) -> Response:
        """Lines, or one object. Raises ModelNotFound, and what the fetching raises where no lines are wanted."""
        settings, model = context.settings, names.resolved(body.asked)
        if settings.model(model).url:  # its weights are on the runner's machine
            steps = _by_runner(context, model)
        else:
            steps = self._fetched(resolve(model, settings.weights, settings.model(model).weights))
        if body.stream is not False:
            return sse.response(_lines(steps), every=settings.heartbeat_seconds, beat=b" ", media_type=replies.LINES)
        return JSONResponse(await context.while_connected(_last(steps)))

    async def _fetched(self, source: WeightsSource) -> AsyncGenerator[dict[str, Any], None]:
        """What is said while the weights come."""
        yield {"status": "pulling manifest"}
        told = {"status": f"pulling {source.location}", "digest": source.revision or source.model}
        download = self._running.get(source.model) or self._begun(source)
        download.waiting += 1
        try:
            before = (0, 0)
            while not download.fetching.done():
                await asyncio.wait((download.fetching,), timeout=_BETWEEN)
                if download.here != before:
                    before = download.here
                    yield {**told, "total": before[1], "completed": before[0]}
            download.fetching.result()
        finally:
            download.waiting -= 1
            if not download.waiting:
                download.left.set()
                self._running.pop(source.model, None)
        yield {"status": "success"}

    def _begun(self, source: WeightsSource) -> _Download:
        download = _Download()
        loop = asyncio.get_running_loop()
        download.fetching = loop.run_in_executor(self._threads, source.directory, download.tell)
        download.fetching.add_done_callback(_look_at)  # its last caller may have left
        self._running[source.model] = download
        return download


def _look_at(ended: asyncio.Future[Path]) -> None:
    if not ended.cancelled():
        ended.exception()


async def _by_runner(context: RequestContext, model: str) -> AsyncGenerator[dict[str, Any], None]:
    yield {"status": f"loading {model} where its runner is"}
    runner = context.gateway.runners.get(model)
    if runner is None:
        raise errors.ModelNotReady(f"The runner of '{model}' is not connected; try again.", retry_after=5)
    await runner.load(timeout=context.time_left())
    yield {"status": "success"}


async def _last(steps: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any]:
    last: dict[str, Any] = {}
    async with aclosing(steps):
        async for step in steps:
            last = step
    return last


async def _lines(steps: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(steps):
            async for step in steps:
                yield json.dumps(step, separators=(",", ":")).encode() + b"\n"
    except errors.LookseeError as error:
        yield json.dumps({"error": error.message, "code": error.code}).encode() + b"\n"
