"""Text to ids and back. Nothing is fetched, and a caller's text is never more than text.

The published tokenizer ("starmie-v1") comes in a repository of its own; the `tokenizer.json` beside the published
weights belongs to older revisions, and its ids mean other things.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as Library

from looksee.core import errors
from looksee.models.moondream.config import TokenizerConfig

_END = "<|endoftext|>"


class MoondreamTokenizer:
    """Encodes without the special tokens and decodes without showing them. Safe in threads."""

    def __init__(self, file: Path, names: TokenizerConfig) -> None:
        """Raises WeightsUnavailable where `file` is missing or is another revision's."""
        try:
            text = file.read_text(encoding="utf-8")
            self._whole = Library.from_str(text)
            # A library that knows no special tokens finds none in a text.
            self._plain = Library.from_str(json.dumps({**json.loads(text), "added_tokens": []}))
        except Exception as error:  # the library raises bare Exceptions
            raise errors.WeightsUnavailable("The tokenizer of 'moondream' is missing or damaged.") from error
        if self._whole.token_to_id(_END) != names.eos_id:
            raise errors.WeightsUnavailable(
                f"The tokenizer of 'moondream' is not that of its weights: {_END} must be {names.eos_id}."
            )

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; special tokens spelt in it are encoded like any other text."""
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens; half a character is shown as U+FFFD."""
        text: str = self._whole.decode(list(ids))
        return text
