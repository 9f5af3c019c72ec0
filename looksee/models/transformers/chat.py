"""Turns of a chat in a checkpoint's own template, around text that a caller wrote.

A caller's text may contain the strings by which the template marks turns and images. Where one of them occurs, a space
is inserted after its first character: the model still reads what was written, but it is no control token any more. Text
without such strings gets exactly the ids that transformers gives it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from looksee.core import errors
from looksee.core.tasks import Turn

_CACHED_CHATS, _LONGEST_CACHED = 256, 4000  # of so many characters at most: long chats do not come twice


def control_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The strings of a tokenizer's special tokens, longest first."""
    found = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(found, key=len, reverse=True))


def escape_special_tokens(text: str, special_tokens: Sequence[str]) -> str:
    """`text` with a space in each special token that is spelt in it."""
    while found := [token for token in special_tokens if token in text]:  # breaking one up may form another
        for token in found:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


class Chat:
    """Encodes chats for one checkpoint.

    The template writes `placeholder` where an image is. In its place come the text `before`, the image's tokens (each
    is the id `image_token_id`), and the text `after`.
    """

    def __init__(
        self, tokenizer: Any, template: str, *, placeholder: str, before: str, after: str, image_token_id: int
    ) -> None:
        self._tokenizer, self._template = tokenizer, template
        self._placeholder, self._before, self._after = placeholder, before, after
        self._image_token_id = image_token_id
        self._control_tokens = control_tokens(tokenizer)
        # Most requests have the same few prompts; rendering and tokenizing took a third of preparing a small image.
        self._cached_ids = functools.lru_cache(maxsize=_CACHED_CHATS)(self._ids)

    def ids(self, text: str, image_tokens: Sequence[int], turns: tuple[Turn, ...] = ()) -> list[int]:
        """Token ids of the turns and of the answer's beginning; `image_tokens` counts those of each image, in order.

        Without `turns` there is one, the user's: the images, then the text. Raises TaskNotSupported for turns that the
        template refuses.
        """
        turns = turns or (Turn("user", (*(None for _ in image_tokens), text)),)
        long = sum(len(part) for turn in turns for part in turn.parts if part) > _LONGEST_CACHED
        return list((self._ids if long else self._cached_ids)(turns, tuple(image_tokens)))

    def _ids(self, turns: tuple[Turn, ...], image_tokens: tuple[int, ...]) -> tuple[int, ...]:
        messages = [{"role": turn.role, "content": [self._content(part) for part in turn.parts]} for turn in turns]
        try:
            chat = self._tokenizer.apply_chat_template(
                messages, chat_template=self._template, add_generation_prompt=True, tokenize=False
            )
        except TemplateError as error:
            if type(error) is not TemplateError:  # the class itself is a template's refusal, a subclass its defect
                raise
            message = "This model does not take the roles of the messages, or not in this order."
            raise errors.TaskNotSupported(message, param="messages") from error
        # The text is cut beside control tokens, where the tokenizer cuts too; an image's tokens need no text.
        first, *others = chat.split(self._placeholder)
        ids = self._encode(first + (self._before if others else ""))
        for number, (count, text) in enumerate(zip(image_tokens, others, strict=True), start=1):
            ids += [self._image_token_id] * count
            ids += self._encode(self._after + text + (self._before if number < len(others) else ""))
        return tuple(ids)

    def _content(self, part: str | None) -> dict[str, str]:
        """A message part for the template: an image for None, else text."""
        if part is None:
            return {"type": "image"}
        return {"type": "text", "text": escape_special_tokens(part, self._control_tokens)}

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids
