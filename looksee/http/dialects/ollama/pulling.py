"""Weights that are fetched because a client asks for them, with the progress as Ollama's clients read it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.http.answers import sse
from looksee.http.context import RequestContext
from looksee.http.dialects.ollama import names, replies
from looksee.http.dialects.ollama.requests import PullBody
from looksee.http.edge.access.api_keys import ApiKeys, presented
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


async def pulled(context: RequestContext, body: PullBody) -> Response:
    """The answer. Raises ModelNotFound, and what the fetching raises where no lines are wanted."""
    settings, model = context.settings, names.resolved(body.asked)
    if settings.model(model).url:  # its weights are on the runner's machine
        work = _by_runner(context, model)
    else:
        work = _fetched(resolve(model, settings.weights, settings.model(model).weights))
    if body.stream is not False:
        return sse.response(_lines(work), every=settings.heartbeat_seconds, beat=b" ", media_type=replies.LINES)
    return JSONResponse(await context.while_connected(_last(work)))


async def _by_runner(context: RequestContext, model: str) -> AsyncGenerator[dict[str, Any], None]:
    yield {"status": f"loading {model} where its runner is"}
    runner = context.gateway.runners.get(model)
    if runner is None:
        raise errors.ModelNotReady(f"The runner of '{model}' is not connected; try again.", retry_after=5)
    await runner.load(timeout=context.time_left())
    yield {"status": "success"}


async def _fetched(source: WeightsSource) -> AsyncGenerator[dict[str, Any], None]:
    """What is said while the weights come. Closing it ends the download; what has come is kept."""
    here, left = (0, 0), threading.Event()

    def tell(done: int, total: int) -> None:
        nonlocal here
        here = done, total
        if left.is_set():
            raise HubError("Nobody waits for the weights any more.")

    yield {"status": "pulling manifest"}
    told = {"status": f"pulling {source.location}", "digest": source.revision or source.model}
    fetching = asyncio.ensure_future(asyncio.to_thread(source.directory, tell))
    try:
        before = here
        while not fetching.done():
            await asyncio.wait((fetching,), timeout=_BETWEEN)
            if here != before:
                before = here
                yield {**told, "total": here[1], "completed": here[0]}
        fetching.result()
    finally:
        left.set()
        if not fetching.done():  # a thread cannot be cancelled: it ends at its next byte
            fetching.add_done_callback(lambda ended: ended.exception())
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
