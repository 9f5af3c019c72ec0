"""The names that a dialect has for what it asks of the shared chat: errors name members as the caller wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from looksee.core import errors
from looksee.core.tasks import Failure
from looksee.http.skills import conversation
from looksee.http.skills.conversation import Conversation, Message, Part
from looksee.settings import Settings

_QUOTED = re.compile(r"'([\w.]+)'")


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The caller's names by those of the chat; a name holds for what is below it too."""

    names: Mapping[str, str]

    def of(self, error: errors.LookseeError) -> errors.LookseeError:
        """A copy of the error in the caller's names: the error itself may be shared with other requests."""
        param = error.param if error.param is None else self._own(error.param)
        message = _QUOTED.sub(lambda found: f"'{self._own(found[1])}'", error.message)
        return replace(Failure.of(error), param=param, message=message).error()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors that are raised inside are in the caller's names."""
        try:
            yield
        except errors.LookseeError as error:
            raise self.of(error) from None

    def _own(self, name: str) -> str:
        known = name
        while known:
            if known in self.names:
                return self.names[known] + name[len(known) :]
            known = known.rpartition(".")[0]
        return name


@dataclass(frozen=True, slots=True)
class Said:
    """A message for the chat, and the caller's names of it, of its content and of each of its parts."""

    role: str
    place: str
    content: str
    parts: list[Part] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def add(self, part: Part, place: str) -> None:
        """Another part, and its name: of a picture that of its address or data."""
        self.parts.append(part)
        self.places.append(place)


def read(said: Sequence[Said], settings: Settings, others: Mapping[str, str]) -> tuple[Conversation, OwnNames]:
    """The conversation that messages are, with the chat's names in it, and the caller's names of these, `others` too.

    Raises what `conversation.read` raises, in the caller's names.
    """
    names = dict(others)
    for number, one in enumerate(said):
        chats = f"messages.{number}"
        names |= {chats: one.place, f"{chats}.content": one.content}
        if one.content == one.place:  # it is a text alone, whose role is not the caller's
            names[f"{chats}.role"] = one.place
        for index, (part, place) in enumerate(zip(one.parts, one.places, strict=True)):
            names[f"{chats}.content.{index}"] = place
            if part.image_url is not None:
                names[f"{chats}.content.{index}.image_url"] = place
    own = OwnNames(names)
    with own.told():
        return conversation.read([Message(role=one.role, content=one.parts) for one in said], settings), own
