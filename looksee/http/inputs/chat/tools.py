"""`tools` of a chat: the one function whose call is forced is answered in JSON of its parameters' schema.

The models here were not taught to choose between functions and words; to write JSON of a schema they can be held. So a
call is made where one is forced, and everything else that would call one is refused with what works.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from looksee.core import errors
from looksee.http import error_params
from looksee.http.error_sentences import must_be
from looksee.http.inputs import known
from looksee.http.inputs.chat.forced_call import arguments_format
from looksee.http.inputs.structured_output import ResponseFormat

_MOST_TOOLS = 128
_SCHEMA = "response_format.json_schema.schema"
_KINDS: list[Any] = ["function"]
_WORDS = ("none", "auto", "required")


class FunctionTool(BaseModel):
    model_config = ConfigDict(extra="allow")  # they are in a list, and have their own check

    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="JSON Schema of an object; left out: no parameters")
    strict: bool | None = Field(None, description="without effect: arguments always follow the schema")


class Tool(BaseModel):
    model_config = ConfigDict(extra="allow")
    without_effect: ClassVar[frozenset[str]] = frozenset({"cache_control"})

    type: str = Field(description="function", json_schema_extra={"enum": _KINDS})
    function: FunctionTool


class NamedFunction(BaseModel):
    name: str = Field(max_length=64)


class ToolChoice(BaseModel):
    """The function to call; in the words none, auto and required, which stand for themselves, it has no name."""

    type: str = Field(description="function", json_schema_extra={"enum": _KINDS})
    function: NamedFunction


def _object(choice: Any) -> Any:
    """A word in the form of an object."""
    return {"type": choice, "function": {"name": ""}} if isinstance(choice, str) else choice


Choice = Annotated[
    ToolChoice | None,
    BeforeValidator(_object, json_schema_input_type=Literal["none", "auto", "required"] | ToolChoice | None),
]


def _some(tools: Any) -> Any:
    return [] if tools is None else tools


Tools = Annotated[
    list[Tool],
    FailFast(),
    Field(max_length=_MOST_TOOLS),
    BeforeValidator(_some, json_schema_input_type=Annotated[list[Tool], Field(max_length=_MOST_TOOLS)] | None),
]


@dataclass(frozen=True, slots=True)
class ForcedFunction:
    """The function that is to be called. `named`: the request chose it by its name."""

    name: str
    response_format: ResponseFormat  # the arguments as an answer in JSON
    place: str  # the caller's name of the schema
    named: bool

    @contextmanager
    def errors_named(self) -> Iterator[None]:
        """Errors about the schema name it as the caller does."""
        try:
            yield
        except errors.LookseeError as error:
            raise self.own(error) from None

    def own(self, error: errors.LookseeError) -> errors.LookseeError:
        """The error as the caller knows its place."""
        if error.param is None or not error.param.startswith("response_format"):
            return error
        found = error_params.renamed(error, self.place)
        found.message = found.message.replace(_SCHEMA, self.place)
        return found


def forced(tools: Sequence[Tool], choice: ToolChoice | None, asked: ResponseFormat | None) -> ForcedFunction | None:
    """The function that is to be called; None for a plain answer.

    Raises UnsupportedParameter, InvalidRequest or InvalidValue.
    """
    word = _word(choice)
    if not tools:
        if word in ("none", "auto"):
            return None
        raise errors.InvalidRequest("'tool_choice' goes with 'tools' alone; leave it out.", param="tool_choice")
    for number, tool in enumerate(tools):
        known.refuse_members(tool, f"tools.{number}.", always=True)
        _check_kind(tool.type, f"tools.{number}.type")
        known.refuse_members(tool.function, f"tools.{number}.function.", always=True)
    if word == "none":
        return None
    number = _chosen(tools, word, choice.function.name if choice else "")
    if asked is not None and asked.type != "text":
        raise errors.InvalidRequest(
            "'response_format' is for answers, and a call of a function is forced; send one of the two.",
            param="response_format",
        )
    place = f"tools.{number}.function.parameters"
    return ForcedFunction(
        tools[number].function.name,
        arguments_format(tools[number].function.model_dump(), "parameters", place),
        place,
        word == "function",
    )


def _word(choice: ToolChoice | None) -> str:
    """`function`, or one of the words. Raises InvalidValue."""
    if choice is None:
        return "auto"
    if choice.function.name:
        _check_kind(choice.type, "tool_choice.type")
    elif choice.type not in (*_WORDS, *_KINDS):
        words = {"anyOf": [{"enum": list(_WORDS)}, {"type": "object", "required": ["type", "function"]}]}
        raise errors.InvalidValue(must_be("tool_choice", words), param="tool_choice")
    return choice.type


def _check_kind(kind: str, place: str) -> None:
    if kind not in _KINDS:
        raise errors.InvalidValue(must_be(place, {"enum": _KINDS}), param=place)


def _chosen(tools: Sequence[Tool], word: str, name: str) -> int:
    """Which tool is forced."""
    names = [tool.function.name for tool in tools]
    if word == "function":
        if name not in names:
            listed = ", ".join(names)
            raise errors.InvalidValue(
                f"'tool_choice.function.name' must be one of the tools: {listed}.", param="tool_choice.function.name"
            )
        return names.index(name)
    if word == "required" and len(tools) == 1:
        return 0
    example = json.dumps({"type": "function", "function": {"name": names[0]}})
    raise errors.UnsupportedParameter(
        f"Functions are called here only where one is forced: send 'tool_choice' as {example}, as \"required\" beside "
        'a single tool, or as "none" for an answer in words.',
        param="tool_choice" if word == "required" else "tools",
    )
