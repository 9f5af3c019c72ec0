"""The turns of a request: instructions, and messages of texts and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from looksee.core import errors
from looksee.core.addresses import is_address
from looksee.http.apis.own_names import Said
from looksee.http.error_sentences import must_be
from looksee.http.inputs import known, parameters
from looksee.http.skills.conversation import ImageUrl, Part

_MOST_MESSAGES, _MOST_BLOCKS = 1024, 256
_ROLES: list[Any] = ["user", "assistant"]
_KINDS: list[Any] = ["text", "image"]
_SOURCES: list[Any] = ["base64", "url"]
_THOUGHTS = ("thinking", "redacted_thinking")


class PictureSource(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: str = Field(description="base64 or url", json_schema_extra={"enum": _SOURCES})
    media_type: str | None = Field(None, description="without effect: a picture's format is read from its bytes")
    data: str | None = Field(None, description="base64")
    url: str | None = Field(
        None, description="an address that LOOKSEE_IMAGE_URL_HOSTS allows", json_schema_extra=parameters.PICTURE
    )


class ContentBlock(BaseModel):
    """A text or a picture."""

    model_config = ConfigDict(extra="allow")  # some are named in an error
    without_effect: ClassVar[frozenset[str]] = frozenset({"cache_control", "citations", "signature"})

    type: str = Field(description="text or image", json_schema_extra={"enum": _KINDS})
    text: str | None = None
    source: PictureSource | None = None


_Blocks = Annotated[list[ContentBlock], Field(max_length=_MOST_BLOCKS)]


def _blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _system(system: Any) -> Any:
    return [] if system is None else _blocks(system)


Content = Annotated[_Blocks, FailFast(), BeforeValidator(_blocks, json_schema_input_type=str | _Blocks)]
System = Annotated[_Blocks, FailFast(), BeforeValidator(_system, json_schema_input_type=str | _Blocks | None)]


class TurnMessage(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: str = Field(description="user or assistant", json_schema_extra={"enum": _ROLES})
    content: Content


TurnMessages = Annotated[list[TurnMessage], FailFast(), Field(min_length=1, max_length=_MOST_MESSAGES)]


def said(system: Sequence[ContentBlock], messages: Sequence[TurnMessage]) -> list[Said]:
    """The messages of a conversation. Raises UnsupportedParameter and InvalidValue.

    What an earlier answer thought is passed over: nobody reads it again.
    """
    found = []
    if system:
        found.append(_said("system", "system", "system", system))
    for number, message in enumerate(messages):
        place = f"messages.{number}"
        known.refuse_members(message, f"{place}.", always=True)
        if message.role not in _ROLES:
            raise errors.UnsupportedParameter(must_be(f"{place}.role", {"enum": _ROLES}), param=f"{place}.role")
        found.append(_said(message.role, place, f"{place}.content", message.content))
    return found


def _said(role: str, place: str, content: str, blocks: Sequence[ContentBlock]) -> Said:
    found = Said(role, place, content)
    for index, block in enumerate(blocks):
        if not (role == "assistant" and block.type in _THOUGHTS):
            found.add(*_read(block, f"{content}.{index}"))
    return found


def _read(block: ContentBlock, place: str) -> tuple[Part, str]:
    """The block as the chat has it, and the name of what is in it."""
    if block.type not in _KINDS:
        raise errors.UnsupportedParameter(must_be(f"{place}.type", {"enum": _KINDS}), param=f"{place}.type")
    known.refuse_members(block, f"{place}.", always=True)
    if block.type == "text":
        if block.text is None or block.source is not None:
            raise errors.InvalidValue(f"'{place}' must have a text, and no source.", param=f"{place}.text")
        return Part(type="text", text=block.text), place
    if block.source is None or block.text is not None:
        raise errors.InvalidValue(
            f"'{place}' must have a source: an object with 'type', and no text.", param=f"{place}.source"
        )
    url, at = _url(block.source, f"{place}.source")
    return Part(type="image_url", image_url=ImageUrl(url=url)), at


def _url(source: PictureSource, place: str) -> tuple[str, str]:
    """A picture as the chat has it: an address or a data URI; and the name of it."""
    if source.type not in _SOURCES:
        raise errors.UnsupportedParameter(must_be(f"{place}.type", {"enum": _SOURCES}), param=f"{place}.type")
    known.refuse_members(source, f"{place}.", always=True)
    member, other = ("data", "url") if source.type == "base64" else ("url", "data")
    given = getattr(source, member)
    if given is None or getattr(source, other) is not None:
        raise errors.InvalidValue(
            f"'{place}' of the type {source.type} must have '{member}', a text, and no '{other}'.",
            param=f"{place}.{member}",
        )
    if is_address(given) != (member == "url"):
        wanted = "an address" if member == "url" else "base64, and no address"
        raise errors.InvalidValue(f"'{place}.{member}' must be {wanted}.", param=f"{place}.{member}")
    return given, f"{place}.{member}"
