"""The bodies that Ollama's clients send. What is not heeded is named in `docs/ollama.md`, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from looksee.core import errors
from looksee.core.tasks import Sampling
from looksee.http.apis.chat import ChatOptions
from looksee.http.inputs import neutral_values, parameters
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.structured_output import JsonSchema, ResponseFormat
from looksee.http.skills.conversation import ImageUrl, Message, Part
from looksee.settings import Settings

_MOST_MESSAGES, _MOST_PICTURES, _MOST_STOPS = 1024, 256, 16
# How a runner of Ollama's is loaded, and what only says how something else is done.
_WITHOUT_EFFECT = frozenset(
    {
        *("embedding_only", "f16_kv", "logits_all", "low_vram", "main_gpu", "num_batch", "num_ctx", "num_gpu"),
        *("num_keep", "num_thread", "numa", "penalize_newline", "use_mlock", "use_mmap", "vocab_only"),
    }
)


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


class OllamaOptions(BaseModel):
    """How the answer is sampled. Without a temperature it is greedy, so that it can be had again."""

    model_config = ConfigDict(extra="allow")

    temperature: float | None = Field(None, ge=0, le=2, description="0, as without one: the likeliest word each time")
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: Integer | None = Field(None, ge=-1, le=1000, json_schema_extra={"minimum": -1, "maximum": 1000})
    min_p: float | None = Field(None, ge=0, le=1)
    seed: Integer | None = Field(None, ge=-(2**63), lt=2**63, json_schema_extra=parameters.SEED)
    num_predict: Integer | None = Field(None, description="new tokens at most; 0 and less: the model's default")
    repeat_penalty: float | None = Field(None, gt=0, le=10)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    stop: Annotated[
        list[Annotated[str, Field(max_length=256)]] | None,
        Field(max_length=_MOST_STOPS),
        BeforeValidator(_listed, json_schema_input_type=str | list[str] | None),
    ] = None

    def check(self) -> None:
        """Raises UnsupportedParameter for an option that would change the answer and is not here."""
        more = {name: value for name, value in (self.model_extra or {}).items() if name not in _WITHOUT_EFFECT}
        neutral_values.check(more, OllamaOptions.model_fields)

    def sampling(self) -> Sampling:
        """What is not given has no effect."""
        return Sampling(
            self.temperature or 0.0,
            1.0 if self.top_p is None else self.top_p,
            max(0, self.top_k or 0),
            self.seed,
            self.min_p or 0.0,
            1.0 if self.repeat_penalty is None else self.repeat_penalty,
            self.presence_penalty or 0.0,
            self.frequency_penalty or 0.0,
        ).effective


class OllamaBody(BaseModel):
    """What both kinds of request have."""

    model: str = Field(description="a name of `GET /api/tags`, with or without `:latest`, or one of Ollama's for it")
    stream: bool | None = Field(None, description="lines of JSON, as without it; false: one answer")
    format: dict[str, Any] | str | None = Field(None, description="json, or a JSON Schema; not for `blip`")
    options: OllamaOptions = OllamaOptions()
    keep_alive: float | str | None = Field(None, description="without effect: models stay loaded")
    think: bool | str | None = Field(None, description="Moondream2: think first; the thoughts are told too")

    def chat_options(self, settings: Settings) -> ChatOptions:
        """Raises InvalidValue and UnsupportedParameter."""
        self.options.check()
        asked = self.options.num_predict or 0
        return ChatOptions(
            min(asked, settings.max_new_tokens) if asked > 0 else None,
            tuple(filter(None, self.options.stop or ())),
            _response_format(self.format),
            reasoning=self.think not in (None, False, "", "false"),
        )


_Picture = Annotated[str, Field(json_schema_extra=parameters.PICTURE)]
_Pictures = Annotated[list[_Picture], Field(max_length=_MOST_PICTURES)]


class GenerateBody(OllamaBody):
    """`POST /api/generate`: a prompt and its pictures."""

    prompt: str = ""
    images: _Pictures | None = Field(None, description="base64, bare or as data URIs")
    system: str = ""
    suffix: str | None = Field(None, description="must be empty")
    template: str | None = Field(None, description="must be empty: each model has its own")
    raw: bool | None = Field(None, description="must not be true")
    context: list[int] | None = Field(None, description="must be empty; send a chat's messages instead")

    def messages(self) -> list[Message]:
        """As those of a chat. Raises UnsupportedParameter."""
        for name in ("suffix", "template", "raw", "context"):
            if getattr(self, name):
                raise errors.UnsupportedParameter(f"'{name}' is not supported; leave it out.", param=name)
        said = [_message("user", self.prompt, self.images or ())]
        return [_message("system", self.system, ()), *said] if self.system.strip() else said


class OllamaMessage(BaseModel):
    """A message of a chat. What an earlier answer thought is not read again."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"thinking", "tool_name"})

    role: str
    content: str = ""
    images: _Pictures | None = None
    tool_calls: Any = Field(None, description="must be empty")


class OllamaChatBody(OllamaBody):
    """`POST /api/chat`."""

    messages: Annotated[list[OllamaMessage], FailFast(), Field(max_length=_MOST_MESSAGES)] = []
    tools: Any = Field(None, description="must be empty")

    def chat_messages(self) -> list[Message]:
        """As OpenAI's are. Their pictures are behind their texts. Raises UnsupportedParameter."""
        if self.tools:
            raise errors.UnsupportedParameter("'tools' are not supported; leave them out.", param="tools")
        for number, one in enumerate(self.messages):
            if one.tool_calls:
                place = f"messages.{number}.tool_calls"
                raise errors.UnsupportedParameter(f"'{place}' is not supported; leave it out.", param=place)
        return [_message(one.role, one.content, one.images or ()) for one in self.messages]


def _message(role: str, text: str, images: Sequence[str]) -> Message:
    parts = [Part(type="text", text=text)] if text else []
    parts += [Part(type="image_url", image_url=ImageUrl(url=image)) for image in images]
    return Message(role=role, content=parts)


def _response_format(wanted: dict[str, Any] | str | None) -> ResponseFormat | None:
    if wanted is None or wanted == "":
        return None
    if isinstance(wanted, dict):
        schema = JsonSchema.model_validate({"name": "format", "schema": wanted})
        return ResponseFormat(type="json_schema", json_schema=schema)
    if wanted != "json":
        raise errors.InvalidValue("'format' must be json or a JSON Schema.", param="format")
    return ResponseFormat(type="json_object")
