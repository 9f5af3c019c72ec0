"""The bodies that Ollama's clients send. What is not heeded is named in `docs/ollama.md`, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from looksee.core import errors
from looksee.core.scoring.tokens import MOST_ALTERNATIVES
from looksee.core.tasks import Sampling
from looksee.http.apis.chat import ChatOptions
from looksee.http.apis.own_names import Said
from looksee.http.inputs import known, neutral_values, parameters
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.sampling_fields import Temperature
from looksee.http.inputs.structured_output import JsonSchema, ResponseFormat
from looksee.http.skills.conversation import ImageUrl, Part

_MOST_MESSAGES, _MOST_PICTURES, _MOST_STOPS, _LONGEST_NAME = 1024, 256, 16, 256
_FORMAT = "response_format"
_PICTURE_HERE = "[img]"  # in a text: the next of its pictures stands here
# How a runner of Ollama's is loaded, and what only says how something else is done.
OPTIONS_WITHOUT_EFFECT = frozenset(
    {
        *("embedding_only", "f16_kv", "logits_all", "low_vram", "main_gpu", "num_batch", "num_ctx", "num_gpu"),
        *("num_keep", "num_thread", "numa", "penalize_newline", "use_mlock", "use_mmap", "vocab_only"),
    }
)
# What is too long is refused here, cut or not; `id` and `version` are PhotoPrism's own.
BODY_WITHOUT_EFFECT = frozenset({"id", "shift", "truncate", "version"})
# With the values that ask for nothing: those are taken, and others refused by name.
NOT_HERE: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("height", "steps", "width"), ()),  # of pictures that a model makes
}
NOT_HERE_OF_CHATS = {**NOT_HERE, "tools": ([],)}
NOT_HERE_OF_PROMPTS = {**NOT_HERE, "context": ([],), "raw": (False,), "suffix": ("",), "template": ("",)}

_Stop = Annotated[str, Field(max_length=256)]
_Stops = Annotated[list[_Stop], Field(max_length=_MOST_STOPS)]


def _listed(value: Any) -> Any:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


class OllamaOptions(BaseModel):
    """How the answer is sampled. Without a temperature it is greedy, so that it can be had again."""

    model_config = ConfigDict(extra="allow")

    temperature: Temperature = None
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: Integer | None = Field(None, ge=-1, le=1000, json_schema_extra={"minimum": -1, "maximum": 1000})
    min_p: float | None = Field(None, ge=0, le=1)
    seed: Integer | None = Field(None, ge=-(2**63), lt=2**63, json_schema_extra=parameters.SEED)
    num_predict: Integer | None = Field(None, description="new tokens at most; 0 and less: the model's default")
    repeat_penalty: float | None = Field(None, ge=0.1, le=10)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    stop: Annotated[_Stops, FailFast(), BeforeValidator(_listed, json_schema_input_type=_Stop | _Stops | None)] = []

    def check(self) -> None:
        """Raises UnsupportedParameter for an option that would change the answer and is not here."""
        more = {name: value for name, value in (self.model_extra or {}).items() if name not in OPTIONS_WITHOUT_EFFECT}
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

    not_here: ClassVar[Mapping[str, tuple[Any, ...]]] = NOT_HERE
    without_effect: ClassVar[frozenset[str]] = BODY_WITHOUT_EFFECT | NOT_HERE.keys()
    own_names: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys((_FORMAT, f"{_FORMAT}.json_schema", f"{_FORMAT}.json_schema.schema"), "format"),
        "reasoning": "think",
    }  # by those of the shared chat

    model: str = Field(
        max_length=_LONGEST_NAME,
        description="a name of `GET /api/tags`, with or without `:latest`, or one of Ollama's for it",
    )
    stream: bool | None = Field(None, description="lines of JSON, as without it; false: one answer")
    format: dict[str, Any] | str | None = Field(None, description="json, or a JSON Schema; not for `blip`")
    options: OllamaOptions | None = None
    keep_alive: float | str | None = Field(
        None, description="without effect: models stay loaded as the operator has it"
    )
    logprobs: bool | None = Field(None, description="tell how likely each token was; of a stream in the last line")
    top_logprobs: Integer | None = Field(
        None,
        ge=0,
        le=MOST_ALTERNATIVES,
        description="with logprobs: so many of the likeliest tokens in each place",
        json_schema_extra={"minimum": 0, "maximum": MOST_ALTERNATIVES, "examples": [0]},
    )
    think: bool | str | None = Field(None, description="Moondream2: think first; the thoughts are told too")

    def chat_options(self) -> ChatOptions:
        """Raises InvalidValue and UnsupportedParameter."""
        options = self.options or OllamaOptions()
        options.check()
        asked = options.num_predict or 0
        return ChatOptions(
            asked if asked > 0 else None,
            tuple(filter(None, options.stop)),
            _response_format(self.format),
            reasoning=self.think not in (None, False, "", "false"),
        )

    def sampling(self) -> Sampling:
        """What is not given has no effect."""
        found = (self.options or OllamaOptions()).sampling()
        return replace(found, logprobs=self.top_logprobs or 0) if self.tells_tokens else found

    @property
    def tells_tokens(self) -> bool:
        """Whether the tokens' probabilities are asked for."""
        return bool(self.logprobs or self.top_logprobs)

    def said(self) -> list[Said]:
        """The messages of a chat, the system's first. Raises UnsupportedParameter."""
        raise NotImplementedError

    def refuse(self) -> None:
        """Raises UnsupportedParameter for what would change the answer and is not here."""
        for name, value in (self.model_extra or {}).items():
            if name in self.not_here and value is not None:
                neutral_values.check_one(name, value, self.not_here[name])


_Picture = Annotated[str, Field(json_schema_extra=parameters.PICTURE)]
_Pictures = Annotated[list[_Picture], Field(max_length=_MOST_PICTURES)]


class GenerateBody(OllamaBody):
    """`POST /api/generate`: a prompt and its pictures."""

    own_names: ClassVar[Mapping[str, str]] = {**OllamaBody.own_names, "messages": "prompt"}
    not_here: ClassVar[Mapping[str, tuple[Any, ...]]] = NOT_HERE_OF_PROMPTS
    without_effect: ClassVar[frozenset[str]] = BODY_WITHOUT_EFFECT | NOT_HERE_OF_PROMPTS.keys()

    prompt: str | None = None
    images: _Pictures | None = Field(None, description="base64, bare or as data URIs")
    system: str | None = None

    def said(self) -> list[Said]:
        self.refuse()
        asked = OllamaMessage(role="user", content=self.prompt, images=self.images)
        return [*_instructed(self.system), as_said(asked, "prompt", "prompt", "images")]


class OllamaMessage(BaseModel):
    """A message of a chat. What an earlier answer thought is not read again, and speakers have no names."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"name", "thinking", "tool_calls", "tool_name"})

    role: str
    content: str | None = None
    images: _Pictures | None = None

    def check(self, place: str) -> None:
        """Raises UnsupportedParameter."""
        known.refuse_members(self, f"{place}.")
        if (self.model_extra or {}).get("tool_calls"):
            raise errors.UnsupportedParameter(
                f"'{place}.tool_calls' is not supported; leave it out or send [].", param=f"{place}.tool_calls"
            )


class NamedModel(BaseModel):
    """What says a model and nothing else."""

    model: str | None = Field(None, max_length=_LONGEST_NAME)
    name: str | None = Field(None, max_length=_LONGEST_NAME, description="the older name of `model`")

    @property
    def asked(self) -> str:
        return self.model or self.name or ""


class ShowBody(NamedModel):
    """`POST /api/show`."""

    verbose: bool | None = Field(None, description="without effect")


class PullBody(NamedModel):
    """`POST /api/pull`."""

    stream: bool | None = Field(None, description="lines of JSON with the progress, as without it; false: one answer")
    insecure: bool | None = Field(None, description="without effect")


_Said = Annotated[list[OllamaMessage], Field(max_length=_MOST_MESSAGES)]


class OllamaChatBody(OllamaBody):
    """`POST /api/chat`."""

    not_here: ClassVar[Mapping[str, tuple[Any, ...]]] = NOT_HERE_OF_CHATS
    without_effect: ClassVar[frozenset[str]] = BODY_WITHOUT_EFFECT | NOT_HERE_OF_CHATS.keys()

    messages: Annotated[
        _Said,
        FailFast(),
        BeforeValidator(lambda said: [] if said is None else said, json_schema_input_type=_Said | None),
    ] = []
    system: str | None = Field(None, description="as a first message of the role system")

    def said(self) -> list[Said]:
        self.refuse()
        found = _instructed(self.system)
        for number, one in enumerate(self.messages):
            place = f"messages.{number}"
            one.check(place)
            found.append(as_said(one, place, f"{place}.content", f"{place}.images"))
        return found


def as_said(one: OllamaMessage, place: str, content: str, pictures: str) -> Said:
    """A message for the shared chat, with the caller's names of it, of its text and of its list of pictures.

    Pictures stand before the text, but those for which the text has `[img]`.
    """
    images = one.images or []
    texts = (one.content or "").split(_PICTURE_HERE, len(images))
    marked = len(texts) - 1
    message = Said(one.role, place, content)
    for number in range(marked, len(images)):
        message.add(_picture(images[number]), f"{pictures}.{number}")
    for number, text in enumerate(texts):
        if text:
            message.add(Part(type="text", text=text), content)
        if number < marked:
            message.add(_picture(images[number]), f"{pictures}.{number}")
    return message


def _picture(image: str) -> Part:
    return Part(type="image_url", image_url=ImageUrl(url=image))


def _instructed(system: str | None) -> list[Said]:
    if not system or not system.strip():
        return []
    return [as_said(OllamaMessage(role="system", content=system), "system", "system", "system")]


def _response_format(wanted: dict[str, Any] | str | None) -> ResponseFormat | None:
    if wanted is None or wanted == "":
        return None
    if isinstance(wanted, dict) and wanted:
        schema = JsonSchema.model_validate({"name": "format", "schema": wanted})
        return ResponseFormat(type="json_schema", json_schema=schema)
    if wanted not in ("json", {}):  # a schema that accepts anything
        raise errors.InvalidValue("'format' must be json or a JSON Schema.", param="format")
    return ResponseFormat(type="json_object")
