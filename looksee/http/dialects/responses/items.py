"""The input of a response: a text, or items of a conversation, those of an earlier response's output among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from looksee.core import errors
from looksee.http.apis.own_names import Said
from looksee.http.error_sentences import must_be
from looksee.http.inputs import known, parameters
from looksee.http.skills import tool_turns
from looksee.http.skills.conversation import ImageUrl, Part
from looksee.http.skills.tool_turns import CalledFunction, ToolCall

_MOST_ITEMS, _MOST_PARTS = 1024, 256
_TEXTS = ("input_text", "output_text")
_PARTS: list[Any] = [*_TEXTS, "input_image", "refusal"]
_ROLES: list[Any] = ["user", "assistant", "system", "developer"]
_CALL, _RESULT = "function_call", "function_call_output"
_KINDS: list[Any] = ["message", "reasoning", _CALL, _RESULT]
NOT_STORED = "Nothing is stored here: send the earlier items themselves, whole, in 'input'."


class InputPart(BaseModel):
    """A text, a picture, or a refusal of an earlier answer."""

    model_config = ConfigDict(extra="allow")  # some are named in an error
    without_effect: ClassVar[frozenset[str]] = frozenset({"annotations", "logprobs", "prompt_cache_breakpoint"})

    type: str = Field(description=", ".join(_PARTS), json_schema_extra={"enum": _PARTS})
    text: str | None = None
    image_url: str | None = Field(
        None,
        description="a data URI, or an address that LOOKSEE_IMAGE_URL_HOSTS allows",
        json_schema_extra=parameters.PICTURE,
    )
    detail: Literal["auto", "low", "high", "original"] | None = Field(
        None, description="without effect: each model cuts pictures in its own way"
    )
    refusal: str | None = Field(None, description="of an earlier answer")


_Parts = Annotated[list[InputPart], Field(max_length=_MOST_PARTS)]


def _parts(content: Any) -> Any:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    return [] if content is None else content


class InputItem(BaseModel):
    """A message, or what else an output may have."""

    model_config = ConfigDict(extra="allow")
    without_effect: ClassVar[frozenset[str]] = frozenset({"id", "phase", "status"})

    type: str | None = Field(
        None, description=f"message, as without it; or {', '.join(_KINDS[1:])}", json_schema_extra={"enum": _KINDS}
    )
    role: str | None = Field(None, description=", ".join(_ROLES), json_schema_extra={"enum": _ROLES})
    content: Annotated[_Parts, FailFast(), BeforeValidator(_parts, json_schema_input_type=str | _Parts | None)] = []
    call_id: str | None = Field(None, description="of a call, and of what came of it")
    name: str | None = Field(None, description="of a function that an earlier answer called")
    arguments: str | None = Field(None, description="that it was called with")
    output: Annotated[
        _Parts | None,
        BeforeValidator(
            lambda given: None if given is None else _parts(given), json_schema_input_type=str | _Parts | None
        ),
    ] = Field(None, description="what came of a call: a text, or parts of text")


class OnlyText(InputItem):
    """The text that an input is."""


def _items(value: Any) -> Any:
    return [OnlyText(role="user", content=_parts(value))] if isinstance(value, str) else value


_Items = Annotated[list[InputItem], Field(min_length=1, max_length=_MOST_ITEMS)]
Input = Annotated[_Items, FailFast(), BeforeValidator(_items, json_schema_input_type=str | _Items)]


def said(instructions: str | None, items: Sequence[InputItem]) -> list[Said]:
    """The messages of a conversation. Raises UnsupportedParameter and InvalidValue.

    What an earlier answer thought is passed over: nobody reads it again.
    """
    found = []
    called: dict[str, str] = {}  # functions by the ids of their calls
    if instructions:
        told = Said("system", "instructions", content="instructions")
        told.add(Part(type="text", text=instructions), "instructions")
        found.append(told)
    for number, item in enumerate(items):
        place = "input" if isinstance(item, OnlyText) else f"input.{number}"
        if item.type == "reasoning":
            continue
        if item.type in (_CALL, _RESULT):
            found.append(_call(item, place, called) if item.type == _CALL else _result(item, place, called))
            continue
        _check(item, place)
        assert item.role is not None
        message = Said(item.role, place, content=place if isinstance(item, OnlyText) else f"{place}.content")
        for index, part in enumerate(item.content):
            at = place if isinstance(item, OnlyText) else f"{place}.content.{index}"
            message.add(*_read(part, at))
        found.append(message)
    return found


def _call(item: InputItem, place: str, called: dict[str, str]) -> Said:
    """A call that an earlier answer made, in words. Raises InvalidValue and UnsupportedParameter."""
    _refuse_others(item, place, "call_id", "name", "arguments")
    for member in ("name", "arguments"):
        if not isinstance(getattr(item, member), str):
            at = f"{place}.{member}"
            raise errors.InvalidValue(f"'{at}' is missing; it must be a text.", param=at)
    if item.call_id:
        called[item.call_id] = item.name or ""
    function = CalledFunction(name=item.name or "", arguments=item.arguments or "")
    return _told("assistant", place, tool_turns.calls([ToolCall(function=function)], "assistant", place))


def _result(item: InputItem, place: str, called: Mapping[str, str]) -> Said:
    """What came of a call, in the user's words. Raises InvalidValue and UnsupportedParameter."""
    _refuse_others(item, place, "call_id", "output")
    at = f"{place}.output"
    if item.output is None:
        raise errors.InvalidValue(f"'{at}' is missing; it must be a text, or parts of text.", param=at)
    texts = []
    for number, part in enumerate(item.output):
        read, _ = _read(part, f"{at}.{number}")
        if read.image_url is not None:
            what = f"'{at}.{number}' is a picture; the user's messages alone may have pictures."
            raise errors.UnsupportedParameter(what, param=f"{at}.{number}")
        texts.append(read.text or "")
    return _told("user", place, [tool_turns.result("\n".join(texts), item.call_id, called)])


def _refuse_others(item: InputItem, place: str, *own: str) -> None:
    """Raises UnsupportedParameter for members that items of the kind do not have."""
    known.refuse_members(item, f"{place}.", always=True)
    for name in InputItem.model_fields:
        if name not in ("type", *own) and getattr(item, name):
            what = f"'{place}.{name}' does not go with the type '{item.type or 'message'}'; leave it out."
            raise errors.UnsupportedParameter(what, param=f"{place}.{name}")


def _told(role: str, place: str, texts: Sequence[str]) -> Said:
    message = Said(role, place, content=place)
    for text in texts:
        message.add(Part(type="text", text=text), place)
    return message


def _check(item: InputItem, place: str) -> None:
    if item.type == "item_reference":
        raise errors.UnsupportedParameter(f"'{place}' refers to a stored item. {NOT_STORED}", param=f"{place}.type")
    if item.type not in (None, "message"):
        raise errors.UnsupportedParameter(must_be(f"{place}.type", {"enum": _KINDS}), param=f"{place}.type")
    _refuse_others(item, place, "role", "content")
    if item.role is None:
        wanted = {"type": "string", "enum": _ROLES}
        raise errors.InvalidValue(
            must_be(f"{place}.role", wanted).replace("must be", "is missing; it must be"), param=f"{place}.role"
        )
    if item.role not in _ROLES:
        raise errors.UnsupportedParameter(must_be(f"{place}.role", {"enum": _ROLES}), param=f"{place}.role")


def _read(part: InputPart, place: str) -> tuple[Part, str]:
    """The part as the chat has it, and the name of what is in it."""
    if part.type not in _PARTS:
        raise errors.UnsupportedParameter(must_be(f"{place}.type", {"enum": _PARTS}), param=f"{place}.type")
    known.refuse_members(part, f"{place}.", always=True)
    member = {"input_image": "image_url", "refusal": "refusal"}.get(part.type, "text")
    given = {name for name in ("text", "image_url", "refusal") if getattr(part, name) is not None}
    at = f"{place}.{member}"
    if given - {member} or member not in part.model_fields_set:
        raise errors.InvalidValue(f"'{place}' must have '{member}', a text, and no other content.", param=at)
    if member != "image_url":
        return Part(type="text", text=getattr(part, member)), place
    if part.image_url is None:
        raise errors.InvalidValue(f"'{at}' is null; it must be a picture as a text.", param=at)
    return Part(type="image_url", image_url=ImageUrl(url=part.image_url)), at
