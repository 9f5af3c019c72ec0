"""The OpenAI API's chat, `POST /v1/chat/completions`: what the `openai` packages send and read.

Beside the packages' own members answers say what every answer of this service says of itself. Without a `temperature`
they are greedy, so that they can be had again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.tasks import Answer, Finish, Sampling, Task
from looksee.gateway.answering import ServedAnswer
from looksee.http import error_responses
from looksee.http.answers import sse
from looksee.http.answers.logprobs import logprobs_member
from looksee.http.answers.reasoning import reasoning_member
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis.chat import ChatOptions, PreparedChat
from looksee.http.context import ContextFactory
from looksee.http.inputs import bodies, neutral_values, parameters, validation
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.sampling_fields import LogprobsFields, SamplingFields
from looksee.http.inputs.structured_output import ResponseFormat
from looksee.http.skills import conversation
from looksee.http.skills.conversation import Messages
from looksee.models.registry import ALIASES, REGISTRY, offer_for
from looksee.settings import Settings

_MOST_STOPS = 4
_LONGEST_STOP = 256  # characters
_MOST_ANSWERS = 8
_INT64 = 2**63
# The packages know these two alone. An empty answer came to its end; one that repeated itself was cut.
_FINISH: dict[Finish, Finish] = {"stop": "stop", "empty": "stop", "length": "length", "loop": "length"}


class StreamOptions(BaseModel):
    include_usage: bool | None = Field(None, description="tell the usage in a last event")


_Stop = Annotated[str, Field(min_length=1, max_length=_LONGEST_STOP)]
_Stops = Annotated[list[_Stop], Field(max_length=_MOST_STOPS)]


def _listed(stop: Any) -> Any:
    if stop is None:
        return []
    return [stop] if isinstance(stop, str) else stop


class ChatBody(SamplingFields, LogprobsFields):
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
    n: Integer | None = Field(
        None,
        description="so many answers; without a temperature all are alike",
        json_schema_extra=parameters.at_most(_MOST_ANSWERS, usual=2),
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    reasoning: bool | None = Field(None, description="Moondream2: think first; the thoughts are told too")

    def sampling(self) -> Sampling:
        """Raises InvalidValue."""
        top_p = 1.0 if self.top_p is None else self.top_p
        return self.applied(
            Sampling(self.temperature or 0.0, top_p, seed=self.seed, logprobs=self.asked_logprobs()),
        )

    def samplings(self) -> list[Sampling]:
        """One for each answer that has to be computed. Raises InvalidValue."""
        first, count = self.sampling(), self.n or 1
        if not first.temperature:
            return [first]
        if first.seed is None:
            return [first] * count
        return [replace(first, seed=_within_64_bits(first.seed + number)) for number in range(count)]

    def new_tokens(self, settings: Settings) -> int | None:
        """Raises InvalidValue."""
        for param in ("max_tokens", "max_completion_tokens"):
            validation.check_new_tokens(getattr(self, param), settings, param=param)
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise errors.InvalidValue(
                "'max_tokens' and 'max_completion_tokens' differ; send one of them.", param="max_tokens"
            )
        return self.max_completion_tokens or self.max_tokens


def _within_64_bits(seed: int) -> int:
    return (seed + _INT64) % (2 * _INT64) - _INT64


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
        options = ChatOptions(
            body.new_tokens(settings), tuple(body.stop), body.response_format, reasoning=bool(body.reasoning)
        )
        chat = await PreparedChat.prepared(context, model, conversation.read(body.messages, settings), options)
        about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}
        if body.stream:
            return _streamed(about, await chat.pieces(body.sampling()), body, settings)
        found = await chat.answers(body.samplings())
        return _completion(about, found if len(found) > 1 else found * (body.n or 1), logprobs=bool(body.logprobs))

    return routes


def _refuse_unsupported(body: ChatBody) -> None:
    """Raises UnsupportedParameter or InvalidRequest."""
    neutral_values.check(body.model_extra or {}, ChatBody.model_fields)
    if body.n is not None and not 1 <= body.n <= _MOST_ANSWERS:
        raise errors.InvalidValue(f"'n' must be a whole number from 1 to {_MOST_ANSWERS}.", param="n")
    if body.stream and (body.n or 1) > 1:
        raise errors.UnsupportedParameter(
            "Several answers are not streamed; send 'n' as 1, or leave out 'stream'.",
            param="n",
        )
    if body.stream_options is not None and not body.stream:
        raise errors.InvalidRequest(
            "'stream_options' go with 'stream' alone; leave them out, or send 'stream' as true.", param="stream_options"
        )


def _completion(about: dict[str, Any], served: Sequence[ServedAnswer], *, logprobs: bool) -> Response:
    content = {
        **about,
        "object": "chat.completion",
        "choices": [_choice(index, one.answer, logprobs=logprobs) for index, one in enumerate(served)],
        "usage": _usage(*(one.answer for one in served)),
        **_source(served[0]),
    }
    return JSONResponse(content, headers=server_timing(served))


def _choice(index: int, answer: Answer, *, logprobs: bool) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    return {
        "index": index,
        "message": {**message, **reasoning_member(answer.reasoning)},
        "logprobs": logprobs_member(answer) if logprobs else None,
        "finish_reason": _FINISH[answer.finish],
    }


def _streamed(
    about: dict[str, Any], pieces: AsyncGenerator[str | ServedAnswer, None], body: ChatBody, settings: Settings
) -> Response:
    wanted = body.stream_options is not None and bool(body.stream_options.include_usage)
    chunks = _chunks(about, pieces, usage=wanted, logprobs=bool(body.logprobs))
    return sse.response(chunks, every=settings.heartbeat_seconds)


async def _chunks(
    about: dict[str, Any], pieces: AsyncGenerator[str | ServedAnswer, None], *, usage: bool, logprobs: bool
) -> AsyncGenerator[bytes, None]:
    """The packages' events. `logprobs` come together, behind the text: in an event of their own before the last."""
    head = {**about, "object": "chat.completion.chunk"}
    no_usage: dict[str, Any] = {"usage": None} if usage else {}

    def chunk(delta: dict[str, Any], told: Any = None, *, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": told, "finish_reason": finish}
        return sse.data({**head, "choices": [choice], **no_usage, **more})

    try:
        async with aclosing(pieces):
            yield chunk({"role": "assistant", "content": ""})
            async for piece in pieces:
                if isinstance(piece, str):
                    yield chunk({"content": piece})
                    continue
                source = _source(piece)
                if logprobs:
                    yield chunk({"content": ""}, logprobs_member(piece.answer))
                yield chunk(reasoning_member(piece.answer.reasoning), finish=_FINISH[piece.answer.finish], **source)
                if usage:
                    yield sse.data({**head, "choices": [], "usage": _usage(piece.answer), **source})
    except errors.LookseeError as error:
        yield error_responses.broken_off(error)
    else:
        yield b"data: [DONE]\n\n"


def _usage(*answers: Answer) -> dict[str, int]:
    """Of several answers to one prompt the prompt is counted once."""
    prompt, new = answers[0].prompt_tokens, sum(answer.new_tokens for answer in answers)
    return {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}


def _source(served: ServedAnswer) -> dict[str, Any]:
    return {
        "system_fingerprint": f"fp_{served.identity.revision}",
        "cache": served.cached,
        "revision": served.identity.revision,
        "weights": served.identity.weights,
    }
