"""A conversation out of the messages of a chat: normalised, its pictures read, and turned into a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Role, Sampling, Task, Turn
from looksee.gateway.answering import CacheableJob
from looksee.http import error_params
from looksee.http.error_sentences import must_be
from looksee.http.inputs import known, parameters, uploads
from looksee.http.inputs.validation import check_chat
from looksee.http.skills import CaptionSkill, QuerySkill, tool_turns
from looksee.http.skills.query import chat
from looksee.http.skills.tool_turns import ToolCalls
from looksee.models.registry import chat_models, offers, prompts
from looksee.settings import Settings

# Far more than a chat has, and LOOKSEE_MAX_FILES admits; reading millions would block the event loop.
# FailFast: one error for the first bad element.
_MOST_MESSAGES, _MOST_PARTS = 1024, 256

_EMPTY: tuple[Any, ...] = (None, [], {}, "", False)  # of further members of a message
# Thoughts of an answer, which its client sends back: nobody reads them again.
_THOUGHTS = ("reasoning", "reasoning_content", "reasoning_details", "thinking_blocks")
_ROLES: dict[str, Role] = {
    **{"system": "system", "developer": "system", "user": "user", "assistant": "assistant"},
    "tool": "user",  # what came of a call is told to the model
}


_Url = Annotated[
    str,
    Field(
        description="a data URI, or an address that LOOKSEE_IMAGE_URL_HOSTS allows",
        json_schema_extra=parameters.PICTURE,
    ),
]


class ImageUrl(BaseModel):
    url: _Url
    detail: Literal["auto", "low", "high", "original"] | None = Field(
        None, description="without effect: each model cuts pictures in its own way"
    )


def _object(image_url: Any) -> Any:
    """The address alone, as some frameworks write it, in the form of an object."""
    return {"url": image_url} if isinstance(image_url, str) else image_url


class Part(BaseModel):
    """A text or a picture."""

    model_config = ConfigDict(extra="allow")  # some are named in an error
    without_effect: ClassVar[frozenset[str]] = frozenset({"annotations", "cache_control", "id", "index", "uuid"})

    type: str = Field(description="text or image_url", json_schema_extra={"enum": ["text", "image_url"]})
    text: str | None = None
    image_url: Annotated[ImageUrl | None, BeforeValidator(_object, json_schema_input_type=_Url | ImageUrl | None)] = (
        None
    )


_Parts = Annotated[list[Part], Field(max_length=_MOST_PARTS)]


def _parts(content: Any) -> Any:
    """A list of parts from any form of content."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [] if content is None else content


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: str = Field(description=", ".join(_ROLES), json_schema_extra={"enum": list(_ROLES)})
    name: str | None = Field(None, description="without effect: the models know no names of speakers")
    content: Annotated[_Parts, FailFast(), BeforeValidator(_parts, json_schema_input_type=str | _Parts | None)] = []
    tool_calls: ToolCalls = Field([], description="assistant: calls that an earlier answer made; told in words")
    tool_call_id: str | None = Field(None, description="tool: which call its content came of")


Messages = Annotated[list[Message], FailFast(), Field(min_length=1, max_length=_MOST_MESSAGES)]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns of alternating sides, the last one the user's; `urls` are of their pictures, in order.

    `places` are the caller's names of the pictures, and `messages` the first message of each turn.
    """

    turns: tuple[Turn, ...]
    messages: tuple[int, ...]
    urls: tuple[str, ...]
    places: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        """The texts of the last turn."""
        return [part for part in self.turns[-1].parts if part is not None]

    def ending(self, text: str) -> Conversation:
        """With `text` at the end, in a paragraph of its own."""
        last = self.turns[-1]
        return replace(self, turns=(*self.turns[:-1], replace(last, parts=_arranged([*last.parts, text], "\n\n"))))


def read(messages: Sequence[Message], settings: Settings) -> Conversation:
    """The conversation in its one form.

    Neighbouring messages of a role are one turn, neighbouring texts one text. Pictures behind all of a turn's text are
    put before it: the models were trained with pictures first, and answer worse otherwise.

    A message that says nothing is passed over, since a client keeps it in all that follows: a system prompt that was
    left empty, an answer that was one. Only the question itself, the last message, must say something.

    Calls of functions and what came of them are turns of words.

    Raises UnsupportedParameter, InvalidRequest, InvalidValue, PromptTooLong or TooManyFiles.
    """
    turns: list[tuple[Role, list[str | None]]] = []
    firsts, urls, places = [], [], []
    called: dict[str, str] = {}  # functions by the ids of their calls
    empty = ""  # the place of a user's message that says nothing, with nothing said after it
    for number, message in enumerate(messages):
        place = f"messages.{number}"
        role = _role(message, place)
        said = [_part(part, message.role, f"{place}.content.{index}") for index, part in enumerate(message.content)]
        said += tool_turns.calls(message.tool_calls, message.role, f"{place}.tool_calls")
        called |= {one.id: one.function.name for one in message.tool_calls if one.id}
        if message.role == "tool":
            said = [tool_turns.result("\n".join(filter(None, said)), message.tool_call_id, called)]
        if not any(part is None or part.strip() for part in said):
            empty = f"{place}.content" if role == "user" else empty
            continue
        empty = ""
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
            firsts.append(number)
        turns[-1][1].extend(said)
        for index, part in enumerate(message.content):
            if part.image_url is not None:
                urls.append(part.image_url.url)
                places.append(f"{place}.content.{index}.image_url")
    if empty:
        raise errors.InvalidValue(f"'{empty}' is empty; the last message must have a text or a picture.", param=empty)
    if not turns or turns[-1][0] != "user":
        raise errors.InvalidRequest("The last message must be the user's, with a text or a picture.", param="messages")
    uploads.check_count(len(urls), "messages", settings.max_files)
    words = "\n".join(part for _, parts in turns for part in parts if part is not None)
    check_chat(words, settings)
    arranged = tuple(Turn(role, _arranged(_pictures_first(parts))) for role, parts in turns)
    return Conversation(arranged, tuple(firsts), tuple(urls), tuple(places))


def check(conversation: Conversation, model: str) -> None:
    """Raises TaskNotSupported, naming the message, for what `model` cannot take."""
    if offers()[model].chats:
        return
    able = ", ".join(chat_models())
    if len(conversation.turns) > 1:
        what = "instructions from the system" if conversation.turns[0].role == "system" else "earlier turns"
        number = conversation.messages[0]
        raise errors.TaskNotSupported(
            f"The model '{model}' takes the user's message alone, without {what}. These take a chat: {able}.",
            param=f"messages.{number}.role",
        )
    if len(conversation.urls) > 1:
        raise errors.TaskNotSupported(
            f"The model '{model}' looks at one picture. These take several: {able}.", param=conversation.places[1]
        )
    if not conversation.urls and (offers()[model].continues_prompt or not conversation.texts):
        raise errors.TaskNotSupported(f"The model '{model}' needs a picture.", param="messages")


def job(
    conversation: Conversation,
    pictures: Sequence[Picture],
    model: str,
    settings: Settings,
    *,
    max_new_tokens: int | None,
    sampling: Sampling,
    reasoning: bool = False,
    **fields: Any,
) -> CacheableJob:
    """The job for `model`, which has passed `check`; `fields` are further ones of a Job."""
    text: dict[str, Any] = {"max_new_tokens": max_new_tokens, "sampling": sampling}
    if not offers()[model].chats:
        words = "\n".join(conversation.texts)
        if words and Task.QUERY in offers()[model].tasks:
            asked = QuerySkill(question=words, reasoning=reasoning, **text)
            return asked.job(model, pictures[:1], settings, **fields)
        return CaptionSkill(prompt=words, **text).job(model, pictures[:1], settings, **fields)
    *earlier, last = conversation.turns
    if not earlier and last.parts[:-1].count(None) == len(last.parts) - 1:  # as any other dialect asks
        words = prompts.query(model, cast(str, last.parts[-1]))
        return chat(pictures, settings, prompt=words, **text, **fields)
    return chat(pictures, settings, turns=conversation.turns, **text, **fields)


def worded(conversation: Conversation, model: str) -> Conversation:
    """With the prompt of a caption where the user sends pictures without words to a model that needs an instruction."""
    if not offers()[model].chats or conversation.texts:
        return conversation
    several = len(conversation.turns[-1].parts) > 1
    return conversation.ending((prompts.collective if several else prompts.caption)(model))


@contextmanager
def places_named(conversation: Conversation) -> Iterator[None]:
    """Errors about a picture name it as the caller does."""
    try:
        yield
    except errors.CorruptImage as error:
        _, _, number = (error.param or "").partition("images.")
        raise error_params.renamed(error, conversation.places[int(number or 0)]) from None


def _role(message: Message, place: str) -> Role:
    _refuse_more(message, place)
    if message.role not in _ROLES:
        raise errors.UnsupportedParameter(must_be(f"{place}.role", {"enum": list(_ROLES)}), param=f"{place}.role")
    return _ROLES[message.role]


def _part(part: Part, role: str, place: str) -> str | None:
    """A text, or None for a picture."""
    if part.type in ("text", "image_url"):
        known.refuse_members(part, f"{place}.", always=True)
    match part.type:
        case "text":
            if "text" not in part.model_fields_set or part.image_url is not None:
                raise errors.InvalidValue(f"'{place}' must have a text, and no image_url.", param=f"{place}.text")
            return part.text or ""
        case "image_url":
            if part.image_url is None:
                wanted = f"'{place}' must have an image_url: a text, or an object with 'url'."
                raise errors.InvalidValue(wanted, param=f"{place}.image_url")
            if role != "user":
                raise errors.UnsupportedParameter(
                    f"'{place}' is a picture in a message of the role {role}; the user's alone may have pictures.",
                    param=place,
                )
            return None
        case _:
            kinds = {"enum": ["text", "image_url"]}
            raise errors.UnsupportedParameter(must_be(f"{place}.type", kinds), param=f"{place}.type")


def _refuse_more(message: Message, place: str) -> None:
    """Raises UnsupportedParameter for further members, as tool_calls, unless they are empty or an answer's thoughts."""
    for name, value in (message.model_extra or {}).items():
        if not _is_empty(value) and not (name in _THOUGHTS and message.role == "assistant"):
            what = f"'{place}.{name}' is not supported; leave it out, or send null."
            raise errors.UnsupportedParameter(what, param=f"{place}.{name}")


def _is_empty(value: Any) -> bool:
    return value in _EMPTY or (isinstance(value, dict) and all(map(_is_empty, value.values())))


def _pictures_first(parts: Sequence[str | None]) -> list[str | None]:
    """With the pictures before the text if all of them are behind it."""
    texts = [part for part in parts if part is not None]
    if list(parts[: len(texts)]) == texts:
        return [*parts[len(texts) :], *texts]
    return list(parts)


def _arranged(parts: Sequence[str | None], between: str = "\n") -> tuple[str | None, ...]:
    """Neighbouring texts are one, blank ones none."""
    found: list[str | None] = []
    for part in parts:
        if part is None or (part.strip() and (not found or found[-1] is None)):
            found.append(part)
        elif part.strip():
            found[-1] = f"{found[-1]}{between}{part}"
    return tuple(found)
