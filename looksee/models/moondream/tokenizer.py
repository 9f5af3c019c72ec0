"""Text to ids and back. Nothing is fetched, and special tokens spelt in a caller's text are encoded as text.

The published tokenizer ("starmie-v1") is in a repository of its own; the `tokenizer.json` beside the published weights
belongs to earlier revisions, whose ids have other meanings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as Library

from looksee.core import errors
from looksee.models.moondream.config import TokenizerConfig
from looksee.models.texts.detokenize import Detokenizer
from looksee.models.texts.token_bytes import TokenBytes

_END = "<|endoftext|>"


class MoondreamTokenizer:
    """Encodes and decodes without special tokens. Safe to use from several threads."""

    def __init__(self, file: Path, special_ids: TokenizerConfig) -> None:
        """Raises WeightsUnavailable where `file` is missing, damaged or another revision's."""
        try:
            text = file.read_text(encoding="utf-8")
            self.whole = Library.from_str(text)
            # Without added tokens the library finds no special ones in a text.
            self._plain = Library.from_str(json.dumps({**json.loads(text), "added_tokens": []}))
        except Exception as error:  # the library raises bare Exceptions
            raise errors.WeightsUnavailable("The tokenizer of 'moondream' is missing or damaged.") from error
        self.detokenizer = Detokenizer(self.whole)
        self.token_bytes = TokenBytes(self.whole)
        if self.whole.token_to_id(_END) != special_ids.eos_id:
            raise errors.WeightsUnavailable(
                f"The tokenizer of 'moondream' is not that of its weights: {_END} must be {special_ids.eos_id}."
            )

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; special tokens spelt in it are encoded like any other text."""
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens; an incomplete character becomes U+FFFD."""
        text: str = self.whole.decode(list(ids))
        return text
