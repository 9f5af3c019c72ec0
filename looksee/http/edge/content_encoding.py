"""Compressed bodies (`Content-Encoding: gzip` or `deflate`), unpacked piece by piece as the app asks for them.

A few bytes can unpack to any number, so nothing is unpacked ahead: what is counted and refused by size is the unpacked
body, and a small piece at a time keeps the event loop free.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from looksee.core import errors

_ACCEPTED = "gzip, deflate"
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_PIECE = 64 * 2**10  # bytes unpacked at a time: less than a millisecond
_MOST_MEMBERS = 1000  # files of gzip one behind another, which are one body


def encoding(headers: Headers, answer_headers: dict[str, str]) -> str | None:
    """How the body is compressed; None where it is not. Raises UnsupportedMediaType for any other way."""
    found = ",".join(headers.getlist("content-encoding")).strip().lower()
    if found in ("", "identity"):
        return None
    if found not in _WINDOWS:
        answer_headers["Accept-Encoding"] = _ACCEPTED  # RFC 9110, section 12.5.3: which ones a request may have
        raise errors.UnsupportedMediaType(
            f"A body with Content-Encoding: {found[:50]} is not accepted; send it plain, or as one of: {_ACCEPTED}.",
            param="Content-Encoding",
        )
    return found


class Unpacked:
    """The messages of a request, with an unpacked body."""

    def __init__(self, receive: Receive, encoding: str) -> None:
        self._receive, self._encoding = receive, encoding
        self._unpacker: Any = None
        self._waiting = b""  # packed, and not yet unpacked
        self._more = True  # whether more is to come behind it
        self._over = False  # whether the end has been told
        self._members = 0

    async def receive(self) -> Message:
        """The next piece. Raises InvalidRequest for what is not packed as it says."""
        if self._over:
            return await self._receive()
        while True:
            if not self._waiting and self._more:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._waiting, self._more = message.get("body", b""), message.get("more_body", False)
            await asyncio.sleep(0)  # other requests have their turn between two pieces
            piece = self._next()
            self._over = not self._more and not self._waiting and not self._has_output(piece)
            if self._over:
                self._check_end()
            if piece or self._over:
                return {"type": "http.request", "body": piece, "more_body": not self._over}

    def _next(self) -> bytes:
        if self._unpacker is None or self._unpacker.eof:
            if not self._waiting:
                return b""
            self._begin()
        try:
            piece: bytes = self._unpacker.decompress(self._waiting, _PIECE)
        except zlib.error:
            raise self._broken() from None
        self._waiting = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
        return piece

    def _begin(self) -> None:
        self._members += 1
        window = _WINDOWS[self._encoding]
        if self._members > 1 and (self._encoding == "deflate" or self._members > _MOST_MEMBERS):
            raise self._broken()
        if self._encoding == "deflate" and self._waiting[0] & 0x0F != 8:
            window = -zlib.MAX_WBITS  # some clients leave out the header of zlib
        self._unpacker = zlib.decompressobj(window)

    def _has_output(self, piece: bytes) -> bool:
        """Whether the unpacker may hold back more than it gave."""
        return len(piece) == _PIECE and not self._unpacker.eof

    def _check_end(self) -> None:
        if self._unpacker is not None and not self._unpacker.eof:
            raise errors.InvalidRequest(f"The body breaks off: its {self._encoding} is not whole.")

    def _broken(self) -> errors.LookseeError:
        return errors.InvalidRequest(
            f"The body is not packed as Content-Encoding: {self._encoding} says.", param="Content-Encoding"
        )
