"""The body of a response's request. What is not heeded is named in `docs/openai.md`, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from looksee.core import errors
from looksee.core.scoring.tokens import MOST_ALTERNATIVES
from looksee.core.tasks import Sampling
from looksee.http.apis.chat import ChatOptions
from looksee.http.dialects.responses.items import NOT_STORED, Input
from looksee.http.error_sentences import must_be
from looksee.http.inputs import neutral_values
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.chat.forced_call import arguments_format
from looksee.http.inputs.sampling_fields import SamplingFields, Seed, Temperature, TopP
from looksee.http.inputs.structured_output import JsonSchema, ResponseFormat
from looksee.models.registry import ALIASES, REGISTRY

_EFFORTS: list[Any] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]
LOGPROBS = "message.output_text.logprobs"
# The others belong to items that no output here has. Thoughts are not encrypted here, so they need no asking.
_Included = Literal[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
]
_FORCED = '{"type": "function", "name": "..."}'
_CHOICES = "no tools, or 'tool_choice' as none, or as one function that has to be called"
# What would have to be kept from one request to the next, or run apart from it.
_REFUSED = {
    "conversation": f"'conversation' is not supported. {NOT_STORED}",
    "previous_response_id": f"'previous_response_id' is not supported. {NOT_STORED}",
    "prompt": "'prompt' is not supported: no templates are stored here. Send 'instructions' and 'input'.",
}
_WITHOUT_EFFECT = frozenset({"max_tool_calls"})  # beside those of all chats


class TextFormat(BaseModel):
    """Of an answer: text, any JSON object, or JSON of a schema."""

    type: str = Field(
        description="text, json_object or json_schema",
        json_schema_extra={"enum": ["text", "json_object", "json_schema"]},
    )
    name: str = ""
    description: str | None = None
    strict: bool | None = Field(None, description="without effect: answers are always forced")
    wanted: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema of the draft 2020-12")

    def response_format(self) -> ResponseFormat:
        """The same as a chat has it."""
        if self.wanted is None:
            return ResponseFormat(type=self.type)
        schema = JsonSchema.model_validate({"name": self.name, "schema": self.wanted})
        return ResponseFormat(type=self.type, json_schema=schema)

    def shown(self) -> dict[str, Any]:
        """As an answer repeats it."""
        if self.type != "json_schema":
            return {"type": self.type}
        shown = self.model_dump(by_alias=True, exclude={"type"})
        return {"type": self.type, **shown}


class TextSettings(BaseModel):
    format: TextFormat | None = None
    verbosity: str | None = Field(None, description="must be medium", json_schema_extra={"enum": ["medium"]})


class ReasoningConfig(BaseModel):
    effort: str | None = Field(
        None, description="but none: Moondream2 thinks first, in its one way", json_schema_extra={"enum": _EFFORTS}
    )
    summary: str | None = Field(None, description="without effect: thoughts are told whole")
    generate_summary: str | None = Field(None, description="the older name of summary")
    context: str | None = Field(None, description="without effect: earlier thoughts are not read again")
    mode: str | None = Field(None, description="must be standard", json_schema_extra={"enum": ["standard"]})


class StreamingOptions(BaseModel):
    include_obfuscation: bool | None = Field(None, description="must not be true: events are not padded")


class ResponsesBody(SamplingFields):
    """A request. Parameters of the API that are not here are taken as long as they ask for nothing special."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description=f"one of: {', '.join(REGISTRY)}", json_schema_extra={"enum": [*REGISTRY, *ALIASES]})
    input: Input = Field(description="a text, or items; the last message is the user's")
    instructions: str | None = Field(None, description="put before the input, as of the system")
    max_output_tokens: Integer | None = Field(
        None,
        ge=1,
        description="new tokens at most; cut, status is incomplete",
        json_schema_extra={"minimum": 1, "examples": [200]},
    )
    temperature: Temperature = None
    top_p: TopP = None
    seed: Seed = None
    stream: bool | None = None
    stream_options: StreamingOptions | None = None
    text: TextSettings | None = None
    reasoning: ReasoningConfig | None = None
    metadata: dict[str, str] | None = Field(None, description="repeated in the answer")
    user: str | None = Field(None, description="repeated in the answer")
    store: bool | None = Field(None, description="without effect: nothing is stored")
    parallel_tool_calls: bool | None = Field(None, description="without effect")
    truncation: str | None = Field(
        None,
        description="without effect: what is too long is refused",
        json_schema_extra={"enum": ["auto", "disabled"]},
    )
    tools: list[dict[str, Any]] | None = Field(
        None, description="functions, where tool_choice says what to do with them"
    )
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = Field(
        None, description="none, or a function that has to be called; auto without tools"
    )
    include: list[_Included] | None = Field(
        None, description=f"{LOGPROBS}: how likely each token was; the others without effect, since no answer has these"
    )
    top_logprobs: Integer | None = Field(
        None,
        ge=0,
        le=MOST_ALTERNATIVES,
        description="so many of the likeliest tokens in each place",
        json_schema_extra={"minimum": 0, "maximum": MOST_ALTERNATIVES, "examples": [0]},
    )
    background: bool | None = Field(None, description="must not be true")

    def check(self) -> None:
        """Raises UnsupportedParameter for what would change the answer and is not here."""
        more = {name: value for name, value in (self.model_extra or {}).items() if name not in _WITHOUT_EFFECT}
        for name, sentence in _REFUSED.items():
            if more.pop(name, None):
                raise errors.UnsupportedParameter(sentence, param=name)
        neutral_values.check(more, ResponsesBody.model_fields)
        if self.background:
            raise errors.UnsupportedParameter(
                "Responses are made while their caller waits: leave out 'background', or send false.",
                param="background",
            )
        _check_choice("truncation", self.truncation, ["auto", "disabled"])
        if self.text is not None:
            _check_choice("text.verbosity", self.text.verbosity, ["medium"])
        if self.reasoning is not None:
            _check_choice("reasoning.effort", self.reasoning.effort, _EFFORTS)
            _check_choice("reasoning.mode", self.reasoning.mode, ["standard"])
        if self.stream_options is not None:
            if self.stream_options.include_obfuscation:
                place = "stream_options.include_obfuscation"
                raise errors.UnsupportedParameter("Events are not padded here; send false.", param=place)
            if not self.stream:
                raise errors.InvalidRequest(
                    "'stream_options' go with 'stream' alone; leave them out, or send 'stream' as true.",
                    param="stream_options",
                )

    def function(self) -> int | None:
        """Which of the tools has to be called. Raises UnsupportedParameter where the choice is the model's."""
        tools, choice = self.tools or [], self.tool_choice
        if choice == "none" or (not tools and choice in (None, "auto")):
            return None
        names = [tool.get("name") if tool.get("type") == "function" else None for tool in tools]
        match choice:
            case {"type": "function", "name": str(name)} if name in names:
                return names.index(name)
            case "required" if len(names) == 1 and isinstance(names[0], str):
                return 0
        param = "tool_choice" if not tools or choice not in (None, "auto") else "tools"
        raise errors.UnsupportedParameter(
            f"The models here do not choose tools themselves. Send {_CHOICES}: {_FORCED}.", param=param
        )

    def sampling(self) -> Sampling:
        """Raises InvalidValue."""
        return replace(self.drawn(self.temperature, self.top_p, self.seed), logprobs=self.told)

    @property
    def told(self) -> int | None:
        """How many alternatives of each token are told; None: no probabilities at all."""
        if LOGPROBS in (self.include or ()) or self.top_logprobs:
            return self.top_logprobs or 0
        return None

    def options(self) -> ChatOptions:
        """What is asked of the answer beside that. Raises UnsupportedParameter, InvalidRequest and InvalidValue."""
        function = self.function()
        wanted = None if self.format is None else self.format.response_format()
        if function is not None:
            if wanted is not None and wanted.type != "text":
                raise errors.InvalidRequest(
                    "'text.format' is for answers, and a call of a function is forced; send one of the two.",
                    param="text.format",
                )
            wanted = arguments_format((self.tools or [])[function], "parameters", f"tools.{function}.parameters")
        return ChatOptions(
            self.max_output_tokens,
            response_format=wanted,
            reasoning=self.reasoning is not None and self.reasoning.effort not in (None, "none"),
        )

    @property
    def format(self) -> TextFormat | None:
        """Of the text; None: plain words."""
        return None if self.text is None else self.text.format

    def own_names(self) -> dict[str, str]:
        """The names here by those of the chat."""
        function = self.function()
        wanted, schema = "text.format", "text.format.schema"
        if function is not None:
            wanted = schema = f"tools.{function}.parameters"
        return {
            "messages": "input",
            "response_format": wanted,
            "response_format.json_schema": wanted,
            "response_format.json_schema.schema": schema,
        }


def _check_choice(name: str, value: str | None, choices: list[str]) -> None:
    if value is not None and value not in choices:
        raise errors.UnsupportedParameter(must_be(name, {"enum": choices}), param=name)
