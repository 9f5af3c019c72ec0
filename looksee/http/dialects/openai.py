"""The OpenAI API's chat, `POST /v1/chat/completions`: what the `openai` packages send and read.

Beside the packages' own members answers say what every answer of this service says of itself. Without a `temperature`
they are greedy, so that they can be had again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.tasks import Answer, Finish, Grammar, Sampling, Task
from looksee.gateway.answering import ServedAnswer
from looksee.http import error_responses, openai_errors
from looksee.http.answers import sse
from looksee.http.answers.logprobs import logprobs_member
from looksee.http.answers.reasoning import reasoning_member
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis import tool_calls
from looksee.http.apis.chat import ChatOptions, PreparedChat
from looksee.http.context import ContextFactory
from looksee.http.inputs import bodies, neutral_values, parameters
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.chat import new_tokens, tools
from looksee.http.inputs.chat.response_format import ChatResponseFormat
from looksee.http.inputs.chat.tools import Choice, ForcedFunction, Tools
from looksee.http.inputs.forced import texts
from looksee.http.inputs.sampling_fields import LogprobsFields, SamplingFields, Seed, Temperature, TopP
from looksee.http.inputs.structured_output import ResponseFormat
from looksee.http.skills import conversation
from looksee.http.skills.conversation import Messages
from looksee.models.registry import ALIASES, DEFAULT, REGISTRY, offer_for
from looksee.settings import Settings

_MOST_STOPS = 4
_LONGEST_STOP = 256  # characters
_MOST_ANSWERS = 8
_INT64 = 2**63
# The packages know these two alone. An empty answer came to its end; one that repeated itself was cut.
_FINISH: dict[Finish, Finish] = {"stop": "stop", "empty": "stop", "length": "length", "loop": "length"}


class StreamOptions(BaseModel):
    include_usage: bool | None = Field(None, description="tell the usage in a last event")
    continuous_usage_stats: bool | None = Field(None, description="must not be true: the usage is told at the end")
    include_obfuscation: bool | None = Field(None, description="must not be true: nothing is padded")


_Stop = Annotated[str, Field(min_length=1, max_length=_LONGEST_STOP)]
_Stops = Annotated[list[_Stop], Field(max_length=_MOST_STOPS)]


def _listed(stop: Any) -> Any:
    if stop is None:
        return []
    return [stop] if isinstance(stop, str) else stop


class ChatBody(SamplingFields, LogprobsFields):
    """A request. Parameters of the OpenAI API that are not here are taken as long as they ask for nothing special."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(
        DEFAULT,
        description=f"one of: {', '.join(REGISTRY)}",
        json_schema_extra={"enum": [*REGISTRY, *ALIASES]},
    )
    messages: Messages = Field(description="the last one is the user's")
    max_completion_tokens: Integer | None = Field(
        None,
        description="new tokens at most, -1: as many as there may be; LOOKSEE_MAX_NEW_TOKENS bounds it, of which "
        f"{new_tokens.HEADER} tells; cut, finish_reason is length",
        json_schema_extra=new_tokens.SCHEMA,
    )
    max_tokens: Integer | None = Field(
        None, description="the older name of max_completion_tokens", json_schema_extra=new_tokens.SCHEMA
    )
    temperature: Temperature = None
    top_p: TopP = None
    seed: Seed = None
    stop: Annotated[_Stops, FailFast(), BeforeValidator(_listed, json_schema_input_type=_Stop | _Stops | None)] = []
    n: Integer | None = Field(
        None,
        description="so many answers; without a temperature all are alike",
        json_schema_extra=parameters.at_most(_MOST_ANSWERS, usual=2),
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ChatResponseFormat | None = None
    tools: Tools = Field([], description="functions, of which one may be forced; not for `blip`")
    tool_choice: Choice = Field(None, description="none, the function to call, or required beside a single one")
    choices: texts.Choices = texts.CHOICES
    regex: str = texts.REGEX
    reasoning: bool | None = Field(None, description="Moondream2: think first; the thoughts are told too")

    def sampling(self) -> Sampling:
        """Raises InvalidValue."""
        return replace(self.drawn(self.temperature, self.top_p, self.seed), logprobs=self.asked_logprobs())

    def samplings(self) -> list[Sampling]:
        """One for each answer that has to be computed. Raises InvalidValue."""
        first, count = self.sampling(), self.n or 1
        if not first.temperature:
            return [first]
        if first.seed is None:
            return [first] * count
        return [replace(first, seed=_within_64_bits(first.seed + number)) for number in range(count)]

    def new_tokens(self) -> int | None:
        """Raises InvalidValue."""
        for param in ("max_tokens", "max_completion_tokens"):
            new_tokens.check(getattr(self, param), param=param)
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise errors.InvalidValue(
                "'max_tokens' and 'max_completion_tokens' differ; send one of them.", param="max_tokens"
            )
        return self.max_completion_tokens or self.max_tokens

    def grammar(self, model: str, beside: ResponseFormat | None, settings: Settings) -> Grammar | None:
        """Raises what `texts.check` raises, and InvalidRequest `beside` another form."""
        texts.check(self.choices, self.regex, model, settings)
        found = texts.grammar(self.choices, self.regex)
        if found is not None and beside is not None and beside.type != "text":
            other = "response_format" if self.response_format else "tool_choice"
            raise errors.InvalidRequest(
                f"'{found.kind}' and '{other}' do not go together; send one of them.", param=found.kind
            )
        return found


def _within_64_bits(seed: int) -> int:
    return (seed + _INT64) % (2 * _INT64) - _INT64


# What else OpenAI has under its address, and what to ask here instead.
NOT_OFFERED = {
    "/v1/completions": "A completion takes no picture. Send it to /v1/chat/completions, with a text or without one.",
    "/v1/embeddings": "None of the models here makes embeddings.",
    "/v1/moderations": "None of the models here moderates; POST /classify tells which of your labels fits a picture.",
    "/v1/images": "None of the models here makes pictures.",
    "/v1/audio": "None of the models here hears or speaks.",
    "/v1/files": "Files are not stored here; PUT /v1/pictures keeps a picture for a while.",
    "/v1/batches": "Batches are answered while their caller waits: POST /v1/batch.",
}


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
        model = offer_for(body.model or DEFAULT, Task.CAPTION).name  # which all can write
        asked = body.response_format.plain() if body.response_format else None
        called = tools.forced(body.tools, body.tool_choice, asked)
        about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}
        with called.errors_named() if called else nullcontext():
            form = called.response_format if called else asked
            options = ChatOptions(
                body.new_tokens(),
                tuple(body.stop),
                form,
                body.grammar(model, form, settings),
                reasoning=bool(body.reasoning),
            )
            chat = await PreparedChat.prepared(context, model, conversation.read(body.messages, settings), options)
            if body.stream:
                pieces = await chat.pieces(body.sampling())
                events = _chunks(about, pieces, body, called)
                return sse.response(events, every=settings.heartbeat_seconds, headers=chat.headers)
            found = await chat.answers(body.samplings())
        found = found if len(found) > 1 else found * (body.n or 1)
        return _completion(about, found, body, called, chat.headers)

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
    for name in ("continuous_usage_stats", "include_obfuscation"):
        if getattr(body.stream_options, name, None):
            param = f"stream_options.{name}"
            raise errors.UnsupportedParameter(f"'{param}' is not supported; leave it out or send false.", param=param)


def _completion(
    about: dict[str, Any],
    served: Sequence[ServedAnswer],
    body: ChatBody,
    called: ForcedFunction | None,
    headers: dict[str, str],
) -> Response:
    content = {
        **about,
        "object": "chat.completion",
        "choices": [_choice(index, one.answer, body, called) for index, one in enumerate(served)],
        "usage": _usage(*(one.answer for one in served)),
        **_source(served[0]),
    }
    return JSONResponse(content, headers={**server_timing(served), **headers})


def _choice(index: int, answer: Answer, body: ChatBody, called: ForcedFunction | None) -> dict[str, Any]:
    said = tool_calls.message(called, answer.text) if called else {"content": answer.text}
    message = {"role": "assistant", **said, "refusal": None}
    return {
        "index": index,
        "message": {**message, **reasoning_member(answer.reasoning)},
        "logprobs": logprobs_member(answer) if body.logprobs else None,
        "finish_reason": _finish(answer, called),
    }


def _finish(answer: Answer, called: ForcedFunction | None) -> str:
    found = _FINISH[answer.finish]
    return tool_calls.finish(called, found) if called else found


async def _chunks(
    about: dict[str, Any],
    pieces: AsyncGenerator[str | ServedAnswer, None],
    body: ChatBody,
    called: ForcedFunction | None,
) -> AsyncGenerator[bytes, None]:
    """The packages' events. `logprobs` come together, behind the text: in an event of their own before the last."""
    head = {**about, "object": "chat.completion.chunk"}
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    no_usage: dict[str, Any] = {"usage": None} if usage else {}

    def chunk(delta: dict[str, Any], told: Any = None, *, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": told, "finish_reason": finish}
        return sse.data({**head, "choices": [choice], **no_usage, **more})

    try:
        async with aclosing(pieces):
            yield chunk({"role": "assistant", **(tool_calls.beginning(called) if called else {"content": ""})})
            async for piece in pieces:
                if isinstance(piece, str):
                    yield chunk(tool_calls.piece(piece) if called else {"content": piece})
                    continue
                source = _source(piece)
                if body.logprobs:
                    yield chunk({"content": ""}, logprobs_member(piece.answer))
                yield chunk(reasoning_member(piece.answer.reasoning), finish=_finish(piece.answer, called), **source)
                if usage:
                    yield sse.data({**head, "choices": [], "usage": _usage(piece.answer), **source})
    except errors.LookseeError as error:
        yield error_responses.broken_off(openai_errors.own(called.own(error) if called else error))
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
