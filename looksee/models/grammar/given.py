"""A text that a row is made to say, so that its probability is known: each token, and the end behind the last.

A text may begin in several ways, with a space or without and with a capital letter: of these the row takes the one
whose beginning the model finds likeliest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from looksee.core import errors


class GivenText:
    """What a matcher is to a row, of a text that is given. For one thread at a time."""

    scores_end = True
    param = "labels"

    def __init__(self, spellings: Sequence[Sequence[int]], ends: Collection[int], size: int) -> None:
        """`spellings` are the text's token ids in each way it may be written; `size` is how many ids there are."""
        self._texts = [(list(ids), list(ends)) for ids in spellings]
        self._size = size

    def allowed(self, tokens: list[int]) -> bytes | None:
        """As `Matcher.allowed`."""
        bits = bytearray((self._size + 31) // 32 * 4)
        count = len(tokens)
        for ids, ends in self._texts:
            if ids[:count] == tokens:
                for number in ends if count == len(ids) else ids[count : count + 1]:
                    bits[number // 8] |= 1 << number % 8
        return bytes(bits)

    def is_over(self, tokens: list[int]) -> bool:
        """Never: the end is said too."""
        return False


def given_text(tokenizer: Any, text: str, ends: Collection[int], size: int) -> GivenText:
    """`tokenizer` is one of the library `tokenizers`. Raises InvalidValue for a text with a control token."""
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special} | {*ends}
    spellings: dict[tuple[int, ...], None] = {}
    for start in dict.fromkeys((text, text[:1].upper() + text[1:])):
        for space in ("", " "):
            ids = tuple(tokenizer.encode(space + start, add_special_tokens=False).ids)
            if special.intersection(ids) or not ids:
                raise errors.InvalidValue(
                    "A label has the spelling of a token that controls the model.", param="labels"
                )
            spellings[ids] = None
    return GivenText(list(spellings), ends, size)
