"""The route of Anthropic's Messages API."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from looksee.core.tasks import Task
from looksee.http.answers import sse
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis import own_names
from looksee.http.apis.chat import PreparedChat
from looksee.http.context import ContextFactory
from looksee.http.dialects.anthropic import turns
from looksee.http.dialects.anthropic.replies import MessageReply
from looksee.http.dialects.anthropic.requests import MessagesBody
from looksee.http.inputs import bodies
from looksee.models.registry import offer_for

_PATH = "/v1/messages"
# Errors at these paths are as Anthropic's clients read them: in an envelope that has a type too.
PATHS = frozenset({_PATH})
NOT_OFFERED = {
    f"{_PATH}/count_tokens": "Tokens are not counted before a model is asked; 'usage' of an answer has them.",
    f"{_PATH}/batches": "Batches go to /v1/batch, which answers while its caller waits.",
}


def router(contexts: ContextFactory) -> APIRouter:
    """The route."""
    settings = contexts.settings
    routes = APIRouter(prefix=_PATH, tags=["anthropic"])

    @routes.post(
        "",
        summary="The next answer in a conversation, as Anthropic's Messages API has it",
        responses=sse.DESCRIBED,
        openapi_extra=bodies.described(MessagesBody),
    )
    async def message(request: Request) -> Response:
        """A `message`, or with `stream` its events."""
        context, body = contexts.of(request.receive), await bodies.read(request, MessagesBody, settings)
        body.check()
        options, sampling, tool = body.options(), body.sampling(), body.tool()
        model = offer_for(body.model, Task.CAPTION).name  # which all can write
        talk, names = own_names.read(turns.said(body.system, body.messages), settings, body.own_names())
        used = None if tool is None else (body.tools or [])[tool]["name"]
        reply = MessageReply(model, used, options.reasoning)
        with names.told():
            chat = await PreparedChat.prepared(context, model, talk, options)
            if body.stream:
                events = reply.events(await chat.pieces(sampling), names)
                return sse.response(events, every=settings.heartbeat_seconds, headers=chat.headers)
            (served,) = await chat.answers([sampling])
        return JSONResponse(reply.whole(served), headers={**server_timing([served]), **chat.headers})

    return routes
