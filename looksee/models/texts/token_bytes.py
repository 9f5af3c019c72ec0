"""What a token is as bytes of UTF-8, by itself: of a character that has several tokens, its own part."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from looksee.models.texts.detokenize import byte_characters, decoder_kinds

_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"  # SentencePiece's


class TokenBytes:
    """One tokenizer, of the library `tokenizers`. Safe to use from several threads.

    The bytes of a text's tokens one after the other are the text, but for white space at its ends, and but for
    tokenizers that decode whole texts with rules of their own (BLIP's joins punctuation to the word before).
    """

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.get_added_tokens_decoder()
        self._added = {number: str(token.content).encode() for number, token in added.items()}
        self._token = tokenizer.id_to_token
        self._kinds = decoder_kinds(tokenizer.decoder)
        self._bytes = {character: byte for byte, character in byte_characters().items()}
        self.of = cache(self._of)

    def _of(self, number: int) -> bytes:
        """The bytes of the token with that id; none for an id that has no token."""
        if number in self._added:
            return self._added[number]
        token: str = self._token(number) or ""
        if "ByteLevel" in self._kinds:
            return bytes(self._bytes[character] for character in token if character in self._bytes)
        if "WordPiece" in self._kinds:
            return (token[2:] if token.startswith("##") else f" {token}").encode() if token else b""
        if "ByteFallback" in self._kinds and (byte := _BYTE.fullmatch(token)):
            return bytes([int(byte[1], 16)])
        return token.replace(_SPACE, " ").encode()
