"""Calls of functions in the history of a chat, in words: the models have no turns of their own for them.

A call is what the assistant said, and what came of it is what the user says next: that is how the published templates
of such models are filled by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from looksee.core import errors
from looksee.http.error_sentences import must_be
from looksee.http.inputs import known


class CalledFunction(BaseModel):
    model_config = ConfigDict(extra="allow")  # they are in a list, and have their own check

    name: str
    arguments: str = ""


class ToolCall(BaseModel):
    """A call that an earlier answer made."""

    model_config = ConfigDict(extra="allow")
    without_effect: ClassVar[frozenset[str]] = frozenset({"index"})

    id: str | None = None
    type: str = Field("function", description="function", json_schema_extra={"enum": ["function"]})
    function: CalledFunction


def _some(found: Any) -> Any:
    return [] if found is None else found


_MOST = 256
ToolCalls = Annotated[
    list[ToolCall],
    FailFast(),
    Field(max_length=_MOST),
    BeforeValidator(_some, json_schema_input_type=Annotated[list[ToolCall], Field(max_length=_MOST)] | None),
]


def calls(found: list[ToolCall], role: str, place: str) -> list[str]:
    """What an assistant said by its calls. Raises UnsupportedParameter."""
    if found and role != "assistant":
        raise errors.UnsupportedParameter("Calls are taken in messages of the role assistant alone.", param=place)
    for number, one in enumerate(found):
        if one.type != "function":
            kinds = {"enum": ["function"]}
            raise errors.InvalidValue(must_be(f"{place}.{number}.type", kinds), param=f"{place}.{number}.type")
        known.refuse_members(one, f"{place}.{number}.", always=True)
        known.refuse_members(one.function, f"{place}.{number}.function.", always=True)
    return [f"{one.function.name}({one.function.arguments})" for one in found]


def result(text: str, call: str | None, names: Mapping[str, str]) -> str:
    """What came of a call, by its id; `names` are the functions of those that the chat has."""
    name = names.get(call or "")
    return f"{name}: {text}" if name else text
