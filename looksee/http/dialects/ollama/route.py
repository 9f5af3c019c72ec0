"""The routes of Ollama's API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from looksee.core import errors
from looksee.core.tasks import Failure
from looksee.http.apis.chat import PreparedChat
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.dialects.ollama import names, pulling, replies
from looksee.http.dialects.ollama.pulling import Pulls
from looksee.http.dialects.ollama.replies import OllamaReply
from looksee.http.dialects.ollama.requests import (
    GenerateBody,
    OllamaBody,
    OllamaChatBody,
    OllamaMessage,
    PullBody,
    ShowBody,
    as_message,
)
from looksee.http.inputs import bodies
from looksee.http.skills import conversation
from looksee.http.skills.conversation import Conversation
from looksee.models.registry import REGISTRY, served
from looksee.version import VERSION

# Errors at these paths are as Ollama's clients read them: the message as the member `error`.
PATHS = frozenset(f"/api/{name}" for name in ("generate", "chat", "tags", "show", "ps", "version", "pull"))
_NOT_HERE = {
    **dict.fromkeys(("embed", "embeddings"), "None of the models here makes embeddings."),
    **dict.fromkeys(("create", "copy", "delete", "push", "blobs"), "Models are not made, copied or deleted here."),
}
NOT_OFFERED = {f"/api/{name}": sentence for name, sentence in _NOT_HERE.items()}
_MESSAGE = re.compile(r"messages\.(\d+)\.((?!images).+)")  # pictures have their own names already


def router(contexts: ContextFactory) -> APIRouter:
    """The routes."""
    settings, gateway, pulls = contexts.settings, contexts.gateway, Pulls()
    routes = APIRouter(prefix="/api", tags=["ollama"])

    @routes.post(
        "/generate",
        summary="An answer to a prompt with pictures",
        responses=replies.DESCRIBED,
        openapi_extra=bodies.described(GenerateBody),
    )
    async def generate(request: Request) -> Response:
        """Lines of JSON, or with `stream` false one object. Without a prompt and a picture the model is loaded."""
        context, body = contexts.of(request.receive), await bodies.read(request, GenerateBody, settings)
        with _own_names({"messages.0.role": "system" if body.system else "prompt", "messages": "prompt"}):
            return await _answer(context, body, body.said(), OllamaReply(body.model, replies.generated))

    @routes.post(
        "/chat",
        summary="The next answer in a chat, as Ollama has it",
        responses=replies.DESCRIBED,
        openapi_extra=bodies.described(OllamaChatBody),
    )
    async def chat(request: Request) -> Response:
        """Lines of JSON, or with `stream` false one object. Without messages the model is loaded."""
        context, body = contexts.of(request.receive), await bodies.read(request, OllamaChatBody, settings)
        said = body.said()
        with _own_names({}, before=len(said) - len(body.messages)):
            return await _answer(context, body, said, OllamaReply(body.model, replies.message))

    @routes.get("/tags", summary="The models on offer, as Ollama lists them")
    async def tags() -> dict[str, Any]:
        return {"models": [names.described(entry, settings) for entry in served().values()]}

    @routes.post("/show", summary="One model, as Ollama describes it", openapi_extra=bodies.described(ShowBody))
    async def show(request: Request) -> dict[str, Any]:
        body = await bodies.read(request, ShowBody, settings)
        entry = REGISTRY[names.resolved(body.asked)]
        return {
            "modelfile": "",
            "parameters": "",
            "template": "",
            "license": entry.licence,
            "modified_at": names.described(entry, settings)["modified_at"],
            "details": names.details(entry, settings),
            "model_info": {"general.architecture": entry.name, "general.parameter_count": entry.parameters},
            "capabilities": ["completion", "vision", *(["thinking"] if entry.reasons else [])],
        }

    @routes.get("/ps", summary="The models that are loaded, as Ollama lists them")
    async def loaded() -> dict[str, Any]:
        statuses = await asyncio.gather(*(runner.status() for runner in gateway.runners.values()))
        later = datetime.now(UTC) + timedelta(days=1)  # of those that stay: clients want a time
        found = []
        for name, status in zip(gateway.runners, statuses, strict=True):
            if status is not None and status.state == "ready" and name in REGISTRY:
                described = names.described(REGISTRY[name], settings)
                until = later if status.expires is None else datetime.fromtimestamp(status.expires, UTC)
                found.append({**described, "expires_at": until.isoformat(), "size_vram": status.device_bytes or 0})
        return {"models": found}

    @routes.post(
        "/pull",
        summary="Fetch a model's weights, as Ollama does",
        responses=replies.DESCRIBED,
        openapi_extra=bodies.described(PullBody),
    )
    async def pull(request: Request) -> Response:
        """Lines of JSON with the progress, or with `stream` false one object. Asks for `API_KEY` where it is set."""
        pulling.check_key(request.headers, settings)
        body = await bodies.read(request, PullBody, settings)
        return await pulls.answer(contexts.of(request.receive), body)

    @routes.get("/version", summary="The version of this service")
    async def version() -> dict[str, str]:
        return {"version": VERSION}

    return routes


async def _answer(
    context: RequestContext, body: OllamaBody, said: Sequence[OllamaMessage], reply: OllamaReply
) -> Response:
    model = names.resolved(body.model)
    if not any((one.content or "").strip() or one.images for one in said):
        await _load(context, model, body)
        return reply.nothing("load")
    options, sampling = body.chat_options(), body.sampling()
    talk = conversation.read([as_message(one) for one in said], context.settings)
    before = len(said) - len(body.messages) if isinstance(body, OllamaChatBody) else None
    talk = _pictures_named(talk, said, before)
    chat = await PreparedChat.prepared(context, model, talk, options)
    if body.stream is not False:
        return reply.streamed(await chat.pieces(sampling), every=context.settings.heartbeat_seconds)
    (served,) = await chat.answers([sampling])
    return reply.whole(served)


async def _load(context: RequestContext, model: str, body: OllamaBody) -> None:
    if body.keep_alive in (0, "0", "0s"):
        raise errors.TaskNotSupported(
            f"POST /api/admin/models/{model}/unload, with the service's API_KEY, unloads a model.",
            param="keep_alive",
        )
    runner = context.gateway.runners.get(model)
    if runner is not None:
        await runner.load(timeout=context.time_left())


def _pictures_named(talk: Conversation, said: Sequence[OllamaMessage], before: int | None) -> Conversation:
    """With the places of pictures as this dialect has them. `before` the caller's messages are so many; None: the
    caller knows of one alone. Of equal pictures the first is named.
    """
    places = []
    for place, url in zip(talk.places, talk.urls, strict=True):
        number = int(place.split(".")[1])  # messages.0.content.1.image_url
        index = (said[number].images or []).index(url)
        places.append(f"images.{index}" if before is None else f"messages.{number - before}.images.{index}")
    return replace(talk, places=tuple(places))


@contextmanager
def _own_names(others: dict[str, str], *, before: int = 0) -> Iterator[None]:
    """Errors name members as this dialect has them; `before` the caller's messages are so many."""
    try:
        yield
    except errors.LookseeError as error:
        for theirs, ours in {**others, "response_format": "format", "reasoning": "think"}.items():
            if error.param is not None and (error.param == theirs or error.param.startswith(f"{theirs}.")):
                raise _renamed(error, ours) from None
        found = _MESSAGE.match(error.param or "")
        if found is None or not before:
            raise
        number = int(found[1]) - before
        raise _renamed(error, f"messages.{number}.{found[2]}" if number >= 0 else "system") from None


def _renamed(error: errors.LookseeError, param: str) -> errors.LookseeError:
    """The error about `param`, in its sentence too."""
    failure = Failure.of(error)
    return replace(failure, param=param, message=failure.message.replace(f"'{failure.param}'", f"'{param}'")).error()
