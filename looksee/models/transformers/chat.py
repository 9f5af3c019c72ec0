"""Turns of a chat in a checkpoint's own template, around text that a caller wrote.

A caller's text may hold the very strings that the template marks turns and pictures with. Where one of them occurs, a
space is put behind its first character: the model still sees what was written, and it is no control token any more.
Text without such strings becomes exactly the ids that the library makes of it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from looksee.core import errors
from looksee.core.tasks import Turn

_REMEMBERED = 256  # chats


def controls(tokenizer: Any) -> tuple[str, ...]:
    """The strings of a tokenizer that are more than text, longest first."""
    found = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(found, key=len, reverse=True))


def escape_special_tokens(text: str, control_strings: Sequence[str]) -> str:
    """`text` without control strings."""
    while found := [string for string in control_strings if string in text]:  # breaking one up may make another
        for string in found:
            text = text.replace(string, f"{string[0]} {string[1:]}")
    return text


class Chat:
    """One checkpoint's way to write a chat.

    The template puts `placeholder` where a picture is; a picture's tokens stand between `before` and `after` there.
    """

    def __init__(self, tokenizer: Any, template: str, *, placeholder: str, before: str, after: str, image: int) -> None:
        self.tokenizer, self.template = tokenizer, template
        self.placeholder, self.before, self.after, self.image = placeholder, before, after, image
        self._controls = controls(tokenizer)
        # Most requests bring the same few words: rendering and tokenizing took a third of preparing a small picture.
        self._written = functools.lru_cache(maxsize=_REMEMBERED)(self._write)

    def ids(self, text: str, pictures: Sequence[int], turns: tuple[Turn, ...] = ()) -> list[int]:
        """Token ids of the turns and of the answer's beginning; `pictures` are their token counts, in order.

        Without `turns` there is one, the user's: the pictures, then the text. Raises TaskNotSupported for turns that
        the template does not write.
        """
        turns = turns or (Turn("user", (*(None for _ in pictures), text)),)
        return list(self._written(turns, tuple(pictures)))

    def _write(self, turns: tuple[Turn, ...], pictures: tuple[int, ...]) -> tuple[int, ...]:
        messages = [{"role": turn.role, "content": [self._content(part) for part in turn.parts]} for turn in turns]
        try:
            chat = self.tokenizer.apply_chat_template(
                messages, chat_template=self.template, add_generation_prompt=True, tokenize=False
            )
        except TemplateError as error:
            if type(error) is not TemplateError:  # its own are a template's refusals, others its mistakes
                raise
            message = "This model does not take the roles of the messages, or not in this order."
            raise errors.TaskNotSupported(message, param="messages") from error
        # Pieces are cut beside control tokens, where the tokenizer cuts too; so a picture's many tokens need no text.
        first, *others = chat.split(self.placeholder)
        ids = self._encode(first + (self.before if others else ""))
        for number, (count, piece) in enumerate(zip(pictures, others, strict=True), start=1):
            ids += [self.image] * count
            ids += self._encode(self.after + piece + (self.before if number < len(others) else ""))
        return tuple(ids)

    def _content(self, part: str | None) -> dict[str, str]:
        return (
            {"type": "image"} if part is None else {"type": "text", "text": escape_special_tokens(part, self._controls)}
        )

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids
