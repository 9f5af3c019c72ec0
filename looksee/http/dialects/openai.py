"""The OpenAI API's chat, `POST /v1/chat/completions`: what the `openai` packages send and read.

Beside the packages' own members answers say what every answer of this service says of itself. Without a `temperature`
they are greedy, so that they can be had again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.tasks import GREEDY, Answer, Sampling, Task
from looksee.gateway.answering import CacheableJob, ServedAnswer
from looksee.http.answers import sse
from looksee.http.answers.reasoning import reasoning_member
from looksee.http.answers.server_timing import server_timing
from looksee.http.context import ContextFactory
from looksee.http.inputs import bodies, neutral_values, parameters, structured_output, uploads, validation
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.structured_output import ResponseFormat
from looksee.http.skills import conversation
from looksee.http.skills.conversation import Conversation, Messages
from looksee.models.registry import ALIASES, REGISTRY, offer_for, offers
from looksee.settings import Settings

_MOST_STOPS = 4
_LONGEST_STOP = 256  # characters
_INT64 = 2**63


class StreamOptions(BaseModel):
    include_usage: bool | None = Field(None, description="tell the usage in a last event")


_Stop = Annotated[str, Field(min_length=1, max_length=_LONGEST_STOP)]
_Stops = Annotated[list[_Stop], Field(max_length=_MOST_STOPS)]


def _listed(stop: Any) -> Any:
    if stop is None:
        return []
    return [stop] if isinstance(stop, str) else stop


class ChatBody(BaseModel):
    """A request. Parameters of the OpenAI API that are not here are taken as long as they ask for nothing special."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description=f"one of: {', '.join(REGISTRY)}", json_schema_extra={"enum": [*REGISTRY, *ALIASES]})
    messages: Messages = Field(description="the last one is the user's")
    max_completion_tokens: Integer | None = Field(
        None, description="new tokens at most; cut, finish_reason is length", json_schema_extra=parameters.NEW_TOKENS
    )
    max_tokens: Integer | None = Field(
        None, description="the older name of max_completion_tokens", json_schema_extra=parameters.NEW_TOKENS
    )
    temperature: float | None = Field(None, ge=0, le=2, description="0, as without one: the likeliest word each time")
    top_p: float | None = Field(
        None, ge=0, le=1, description="with a temperature: of the likeliest words, so much in all"
    )
    seed: Integer | None = Field(
        None,
        ge=-_INT64,
        lt=_INT64,
        description="with a temperature: the same seed gives the same answer",
        json_schema_extra=parameters.SEED,
    )
    stop: Annotated[_Stops, FailFast(), BeforeValidator(_listed, json_schema_input_type=_Stop | _Stops | None)] = []
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    reasoning: bool | None = Field(None, description="Moondream2: think first; the thoughts are told too")

    def sampling(self) -> Sampling:
        if not self.temperature:
            return GREEDY
        return Sampling(self.temperature, 1.0 if self.top_p is None else self.top_p, seed=self.seed)

    def new_tokens(self, settings: Settings) -> int | None:
        """Raises InvalidValue."""
        for param in ("max_tokens", "max_completion_tokens"):
            validation.check_new_tokens(getattr(self, param), settings, param=param)
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise errors.InvalidValue(
                "'max_tokens' and 'max_completion_tokens' differ; send one of them.", param="max_tokens"
            )
        return self.max_completion_tokens or self.max_tokens


def router(contexts: ContextFactory) -> APIRouter:
    """The route."""
    settings = contexts.settings
    routes = APIRouter(prefix="/v1/chat", tags=["openai"])

    @routes.post(
        "/completions",
        summary="The next answer in a chat",
        responses=sse.DESCRIBED,
        openapi_extra=bodies.described(ChatBody),
    )
    async def completions(request: Request) -> Response:
        """A `chat.completion`, or with `stream` events of `chat.completion.chunk`s."""
        context, body = contexts.of(request.receive), await bodies.read(request, ChatBody, settings)
        _refuse_unsupported(body)
        model = offer_for(ALIASES.get(body.model, body.model), Task.CAPTION).name  # which all can write
        talk = conversation.read(body.messages, settings)
        conversation.check(talk, model)
        how: dict[str, Any] = {"max_new_tokens": body.new_tokens(settings), "stop": tuple(body.stop)}
        if body.reasoning:
            _check_reasoning(model, talk)
            how["reasoning"] = True
        structure = structured_output.structure(body.response_format, model, settings)
        urls = dict(zip(talk.places, talk.urls, strict=True))
        pictures = await uploads.pictures(urls, "messages", context)
        asked = conversation.worded(talk, model)
        if structure is not None:
            asked = asked.ending(structure.words)

        def job(sampling: Sampling) -> CacheableJob:
            return conversation.job(asked, pictures, model, settings, sampling=sampling, **how)

        async def ask(sampling: Sampling) -> ServedAnswer:
            return await context.ask(model, job(sampling), param="messages")

        about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}
        with conversation.places_named(talk):
            whole = structure.asked(ask, body.sampling()) if structure else None
            if body.stream:
                if whole is None:
                    pieces = await context.follow(model, job(body.sampling()), param="messages")
                else:
                    pieces = await context.begun(_whole(whole), param="messages")
                return _streamed(about, _named(pieces, talk), body, settings)
            served = await (ask(body.sampling()) if whole is None else whole)
        return _completion(about, served)

    return routes


def _refuse_unsupported(body: ChatBody) -> None:
    """Raises UnsupportedParameter or InvalidRequest."""
    neutral_values.check(body.model_extra or {}, ChatBody.model_fields)
    if body.stream_options is not None and not body.stream:
        raise errors.InvalidRequest(
            "'stream_options' go with 'stream' alone; leave them out, or send 'stream' as true.", param="stream_options"
        )


def _check_reasoning(model: str, talk: Conversation) -> None:
    if not offers()[model].reasons or not talk.texts:
        raise errors.TaskNotSupported("Only 'moondream' thinks first, and only about a question.", param="reasoning")


def _completion(about: dict[str, Any], served: ServedAnswer) -> Response:
    message = {"role": "assistant", "content": served.answer.text, "refusal": None}
    choice = {
        "index": 0,
        "message": {**message, **reasoning_member(served.answer.reasoning)},
        "logprobs": None,
        "finish_reason": served.answer.finish,
    }
    content = {
        **about,
        "object": "chat.completion",
        "choices": [choice],
        "usage": _usage(served.answer),
        **_source(served),
    }
    return JSONResponse(content, headers=server_timing([served]))


def _streamed(
    about: dict[str, Any], pieces: AsyncGenerator[str | ServedAnswer, None], body: ChatBody, settings: Settings
) -> Response:
    wanted = body.stream_options is not None and bool(body.stream_options.include_usage)
    return sse.response(_chunks(about, pieces, usage=wanted), every=settings.heartbeat_seconds)


async def _chunks(
    about: dict[str, Any], pieces: AsyncGenerator[str | ServedAnswer, None], *, usage: bool
) -> AsyncGenerator[bytes, None]:
    """The packages' events."""
    head = {**about, "object": "chat.completion.chunk"}
    no_usage: dict[str, Any] = {"usage": None} if usage else {}

    def chunk(delta: dict[str, Any], *, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse.data({**head, "choices": [choice], **no_usage, **more})

    try:
        async with aclosing(pieces):
            yield chunk({"role": "assistant", "content": ""})
            async for piece in pieces:
                if isinstance(piece, str):
                    yield chunk({"content": piece})
                    continue
                source = _source(piece)
                yield chunk(reasoning_member(piece.answer.reasoning), finish=piece.answer.finish, **source)
                if usage:
                    yield sse.data({**head, "choices": [], "usage": _usage(piece.answer), **source})
    except errors.LookseeError as error:
        yield sse.broken_off(error)
    else:
        yield b"data: [DONE]\n\n"


async def _named(
    pieces: AsyncGenerator[str | ServedAnswer, None], talk: Conversation
) -> AsyncGenerator[str | ServedAnswer, None]:
    """The pieces; errors about a picture name it as the caller does."""
    with conversation.places_named(talk):
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece


async def _whole(asked: Awaitable[ServedAnswer]) -> AsyncGenerator[str | ServedAnswer, None]:
    """An answer that comes whole, as `RequestContext.follow` yields one."""
    served = await asked
    yield served.answer.text
    yield served


def _usage(answer: Answer) -> dict[str, int]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.new_tokens,
        "total_tokens": answer.prompt_tokens + answer.new_tokens,
    }


def _source(served: ServedAnswer) -> dict[str, Any]:
    return {
        "system_fingerprint": f"fp_{served.identity.revision}",
        "cache": served.cached,
        "revision": served.identity.revision,
        "weights": served.identity.weights,
    }
