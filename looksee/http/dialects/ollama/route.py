"""The routes of Ollama's API."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from looksee.core import errors
from looksee.http.apis import own_names
from looksee.http.apis.chat import PreparedChat
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.dialects.ollama import names, pulling, replies
from looksee.http.dialects.ollama.pulling import Pulls
from looksee.http.dialects.ollama.replies import OllamaReply
from looksee.http.dialects.ollama.requests import (
    GenerateBody,
    OllamaBody,
    OllamaChatBody,
    PullBody,
    ShowBody,
)
from looksee.http.inputs import bodies
from looksee.models.registry import REGISTRY, served
from looksee.version import VERSION

# Errors at these paths are as Ollama's clients read them: the message as the member `error`.
PATHS = frozenset(f"/api/{name}" for name in ("generate", "chat", "tags", "show", "ps", "version", "pull"))
_NOT_HERE = {
    **dict.fromkeys(("embed", "embeddings"), "None of the models here makes embeddings."),
    **dict.fromkeys(("create", "copy", "delete", "push", "blobs"), "Models are not made, copied or deleted here."),
}
NOT_OFFERED = {f"/api/{name}": sentence for name, sentence in _NOT_HERE.items()}


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
        return await _answer(context, body, OllamaReply(body.model, replies.generated, body.tells_tokens))

    @routes.post(
        "/chat",
        summary="The next answer in a chat, as Ollama has it",
        responses=replies.DESCRIBED,
        openapi_extra=bodies.described(OllamaChatBody),
    )
    async def chat(request: Request) -> Response:
        """Lines of JSON, or with `stream` false one object. Without messages the model is loaded."""
        context, body = contexts.of(request.receive), await bodies.read(request, OllamaChatBody, settings)
        return await _answer(context, body, OllamaReply(body.model, replies.message, body.tells_tokens))

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


async def _answer(context: RequestContext, body: OllamaBody, reply: OllamaReply) -> Response:
    said, model = body.said(), names.resolved(body.model)
    if not any(part.image_url is not None or (part.text or "").strip() for one in said for part in one.parts):
        await _load(context, model, body)
        return reply.nothing("load")
    options, sampling = body.chat_options(), body.sampling()
    talk, own = own_names.read(said, context.settings, body.own_names)
    with own.told():
        chat = await PreparedChat.prepared(context, model, talk, options)
        if body.stream is not False:
            every = context.settings.heartbeat_seconds
            return reply.streamed(await chat.pieces(sampling), own, every=every, headers=chat.headers)
        (served,) = await chat.answers([sampling])
    return reply.whole(served, chat.headers)


async def _load(context: RequestContext, model: str, body: OllamaBody) -> None:
    if body.keep_alive in (0, "0", "0s"):
        raise errors.TaskNotSupported(
            f"POST /api/admin/models/{model}/unload, with the service's API_KEY, unloads a model.",
            param="keep_alive",
        )
    runner = context.gateway.runners.get(model)
    if runner is not None:
        await runner.load(timeout=context.time_left())
