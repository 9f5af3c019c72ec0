"""The route of OpenAI's Responses API, and what its other addresses say: nothing is stored."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.http.answers import sse
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis import own_names
from looksee.http.apis.chat import PreparedChat
from looksee.http.context import ContextFactory
from looksee.http.dialects.responses import items
from looksee.http.dialects.responses.events import events
from looksee.http.dialects.responses.replies import ResponseReply
from looksee.http.dialects.responses.requests import ResponsesBody
from looksee.http.inputs import bodies
from looksee.http.inputs.chat import new_tokens
from looksee.models.registry import offer_for

_PATH = "/v1/responses"
_STORES = (f"{_PATH}/", "/v1/conversations")


def not_stored(path: str) -> errors.LookseeError | None:
    """The error for an address of what is stored elsewhere; None for any other."""
    if not path.startswith(_STORES):
        return None
    return errors.NotFound(f"No response and no conversation is stored here. {items.NOT_STORED}")


def router(contexts: ContextFactory) -> APIRouter:
    """The route."""
    settings = contexts.settings
    routes = APIRouter(prefix=_PATH, tags=["openai"])

    @routes.post(
        "",
        summary="The next answer in a conversation, as OpenAI's Responses API has it",
        responses=sse.DESCRIBED,
        openapi_extra=bodies.described(ResponsesBody),
    )
    async def respond(request: Request) -> Response:
        """A `response`, or with `stream` its events. Nothing is stored."""
        context, body = contexts.of(request.receive), await bodies.read(request, ResponsesBody, settings)
        body.check()
        options, sampling = body.options(), body.sampling()
        model = offer_for(body.model, Task.CAPTION).name  # which all can write
        talk, names = own_names.read(items.said(body.instructions, body.input), settings, body.own_names())
        function = body.function()
        called = None if function is None else (body.tools or [])[function]["name"]
        limit = new_tokens.bounded(options.max_new_tokens, settings)
        reply = ResponseReply(body, model, replace(options, max_new_tokens=limit), sampling, called)
        with names.told():
            chat = await PreparedChat.prepared(context, model, talk, options)
            if body.stream:
                written = events(reply, await chat.pieces(sampling), names)
                return sse.response(written, every=settings.heartbeat_seconds, headers=chat.headers)
            (served,) = await chat.answers([sampling])
        return JSONResponse(reply.finished(served), headers={**server_timing([served]), **chat.headers})

    return routes
