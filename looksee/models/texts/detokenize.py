"""Token ids to text, as they come: each step decodes the new ids and a few before them, never the whole text.

Where a text may be parted depends on the tokenizer. Byte-level ids are bytes of UTF-8, of which an id may have a part
of a character only. SentencePiece has ids of single bytes: a run of them is text if all of it is valid, and else none
of it is. WordPiece joins some ids to the word before, and writes no space before the first. So a text is parted before
an id that *opens*: what comes before it is decoded the same with and without it, and it and what follows depend on
nothing before but that there is something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

Decode = Callable[[list[int]], str]

REPLACEMENT = "\ufffd"  # decoded from the first bytes of a character whose other bytes are still to come
_SETTLED_AT = 8  # ids after which a text is parted at the next that opens
_LONG = 64  # so many ids of which none opens are decoded again only when they have become a quarter more
_BYTE = re.compile("<0x[0-9A-Fa-f]{2}>")


class Detokenizer:
    """One tokenizer. Safe to use from several threads."""

    def __init__(self, tokenizer: Any, decode: Decode | None = None) -> None:
        """`tokenizer` is one of the library `tokenizers`; `decode` its decoding, without special tokens.

        A `decode` that rewrites whole texts parts nowhere: pass it, and all ids are decoded each time they are a
        quarter more.
        """
        self.decode: Decode = decode or tokenizer.decode
        self._special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        self._token: Callable[[int], str | None] = tokenizer.id_to_token
        kinds = set() if decode else decoder_kinds(tokenizer.decoder)
        self._word_piece, self._byte_level = "WordPiece" in kinds, "ByteLevel" in kinds
        self.byte_fallback = "ByteFallback" in kinds
        self.opens = cache(self._opens)
        self.is_silent = cache(self._is_silent)

    def _is_silent(self, number: int) -> bool:
        """Whether decoding leaves the id out."""
        return number in self._special or self._token(number) is None

    def _opens(self, number: int) -> bool:
        token = self._token(number) or ""
        if self._word_piece:
            return not token.startswith("##")
        if self.byte_fallback:
            return not _BYTE.fullmatch(token)
        # Anything but a byte that continues a character.
        return self._byte_level and bool(token) and token[0] not in _CONTINUING


class GrowingText:
    """The text of ids that only become more. All that is decoded is at most a few times their number."""

    def __init__(self, detokenizer: Detokenizer, before: Sequence[int] = ()) -> None:
        """`before`: ids that the text continues, which are no part of it."""
        self._detokenizer = detokenizer
        self._settled = ""  # the text of all ids but the latest
        self._context: list[int] = []  # one of those that are settled, so that what follows is no beginning
        self._context_text = ""
        self._latest: list[int] = []
        self._decoded = 0  # of the latest ids, when they were decoded last
        self._text = ""
        self._stable = ""
        self._count = self._skipped = 0
        if before:
            self.take(before)
            self._count, self._skipped = 0, len(self._detokenizer.decode(list(before)))

    @property
    def settled(self) -> int:
        """How many characters of the text are final whatever comes."""
        return max(0, len(self._settled) - self._skipped)

    @property
    def text(self) -> str:
        """What the ids taken last decode to; of many ids of which none opens, what some of them did."""
        return self._text[self._skipped :]

    @property
    def stable(self) -> str:
        """The same without ids of which a later one may make something else. What it ends in may be incomplete."""
        return self._stable[self._skipped :]

    def take(self, ids: Sequence[int]) -> None:
        """Take the ids that `ids` has beyond those taken before."""
        new = [number for number in ids[self._count :] if not self._detokenizer.is_silent(number)]
        self._count = len(ids)
        for number in new:
            if len(self._latest) >= _SETTLED_AT and self._detokenizer.opens(number):
                self._settle()
            self._latest.append(number)
        grown = len(self._latest) - self._decoded
        if not new or (self._decoded >= _LONG and grown < self._decoded // 4):
            return
        self._decoded = len(self._latest)
        self._text = self._settled + self._tail(self._latest)
        self._stable = self._text if (sure := self._sure()) is None else self._settled + self._tail(sure)

    def _settle(self) -> None:
        self._settled += self._tail(self._latest)
        last = self._latest[-1]
        self._context = [next((number for number in reversed(self._latest) if self._detokenizer.opens(number)), last)]
        self._context_text = self._detokenizer.decode(self._context)
        self._latest, self._decoded = [], 0

    def _sure(self) -> list[int] | None:
        """The latest ids without the bytes they end in; None where there are none."""
        if not self._detokenizer.byte_fallback or self._detokenizer.opens(self._latest[-1]):
            return None
        sure = len(self._latest)
        while sure and not self._detokenizer.opens(self._latest[sure - 1]):
            sure -= 1
        return self._latest[:sure]

    def _tail(self, ids: list[int]) -> str:
        """The text of ids behind those that are settled."""
        return self._detokenizer.decode(self._context + ids)[len(self._context_text) :]


def truncate_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first of the `stop` strings in it, and whether there is one."""
    found = [index for index in (text.find(string) for string in stop) if index >= 0]
    return (text[: min(found)], True) if found else (text, False)


def stable_prefix(text: str, stop: Sequence[str]) -> str:
    """The part of an unfinished row's text that no later token changes.

    Held back are incomplete characters, whitespace at the end (a finished text has none there) and what may become a
    stop string.
    """
    text = text.rstrip(REPLACEMENT).rstrip()
    partial = [length for string in stop for length in range(1, len(string)) if text.endswith(string[:length])]
    return text[: len(text) - max(partial, default=0)].rstrip()


def decoder_kinds(decoder: Any) -> set[str]:
    """The names of a tokenizer's decoders."""
    state = json.loads(decoder.__getstate__()) if decoder is not None else {}
    return {part["type"] for part in state.get("decoders", [state]) if "type" in part}


def byte_characters() -> dict[int, str]:
    """The character that byte-level tokens have for each byte.

    Bytes that are printable in Latin-1 stand for themselves, the others are counted up from 256.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = {byte: 256 + place for place, byte in enumerate(sorted(set(range(256)) - printable))}
    return {byte: chr(others.get(byte, byte)) for byte in range(256)}


_CONTINUING = frozenset(byte_characters()[byte] for byte in range(0x80, 0xC0))
