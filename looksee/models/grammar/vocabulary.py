"""The bytes that each token of a checkpoint stands for, from its tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"  # SentencePiece's


class Vocabulary:
    """The tokens as the library `llguidance` takes them: their bytes, none for special ones and unused ids."""

    bos_token_id = None

    def __init__(self, tokenizer: Any, ends: Collection[int], size: int) -> None:
        """`tokenizer` is one of the library `tokenizers`; `size` how many ids there are logits of.

        Raises ValueError for a tokenizer whose tokens are no bytes: those of WordPiece have lost case and spaces.
        """
        to_bytes = _reader(tokenizer.decoder)
        added = tokenizer.get_added_tokens_decoder()
        special = {number for number, token in added.items() if token.special} | set(ends)
        known = [tokenizer.id_to_token(number) for number in range(size)]
        self._tokenizer = tokenizer
        self.eos_token_id = min(ends)
        self.special_token_ids = sorted(number for number in special if number < size)
        self.tokens: Sequence[bytes] = [
            # A special one needs a name in place of bytes.
            b"\xff<%d>" % number if number in special or token is None else to_bytes(token)
            for number, token in enumerate(known)
        ]
        self.special_token_ids += [n for n, token in enumerate(known) if token is None and n not in special]

    def __call__(self, text: str) -> list[int]:
        """The ids of a text, for what the library forces; nothing here asks it to."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _reader(decoder: Any) -> Any:
    """What makes bytes of a token's name."""
    state = json.loads(decoder.__getstate__()) if decoder is not None else {}
    parts = {part["type"] for part in state.get("decoders", [state]) if "type" in part}
    if "ByteLevel" in parts:
        return _byte_level
    if "ByteFallback" in parts:
        return _sentence_piece
    raise ValueError("the tokens are no bytes")


def _byte_level(token: str) -> bytes:
    values = [_values().get(character) for character in token]
    return token.encode() if None in values else bytes(value for value in values if value is not None)


def _sentence_piece(token: str) -> bytes:
    byte = _BYTE.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace(_SPACE, " ").encode()


@cache
def _values() -> dict[str, int]:
    """The byte of each character of byte-level tokens: what is printable in Latin-1 stands for itself, the others are
    counted up from 256.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = {byte: 256 + place for place, byte in enumerate(sorted(set(range(256)) - printable))}
    return {chr(others.get(byte, byte)): byte for byte in range(256)}
