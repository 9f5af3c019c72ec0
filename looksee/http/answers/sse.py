"""Server-sent events, for all dialects that stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Send

from looksee.http.disconnect import stop

# Proxies must not buffer or store events.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


# Of a route that may answer so, for the document.
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"description": "events of JSON"}}}}
}


class _KeptAlive(StreamingResponse):
    """A streamed answer that sends `beat` after every `every` seconds without a piece. Each piece is whole lines."""

    def __init__(self, content: AsyncIterator[bytes], *, every: float, beat: bytes, **how: Any) -> None:
        super().__init__(content, **how)
        self._every, self._beat = every, beat

    async def stream_response(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time()

        async def sent(message: Message) -> None:
            nonlocal latest
            await send(message)
            latest = loop.time()

        async def beat() -> None:
            while True:
                rest = latest + self._every - loop.time()
                if rest > 0:
                    await asyncio.sleep(rest)
                else:
                    await sent({"type": "http.response.body", "body": self._beat, "more_body": True})

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        beating = asyncio.create_task(beat())
        try:
            async for piece in self.body_iterator:
                await sent({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await stop(beating)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def response(
    lines: AsyncGenerator[bytes, None],
    *,
    every: float,
    beat: bytes = b": the answer is on its way\n\n",
    media_type: str = "text/event-stream",
    headers: Mapping[str, str] = {},
) -> Response:
    """A streamed answer of `lines`, with further `headers`; they are closed when the client disconnects.

    Proxies cut a connection on which nothing comes for a minute, some for half of one: `beat`, which readers of the
    lines pass over, is sent after every `every` seconds without a line.
    """

    async def sent() -> AsyncIterator[bytes]:
        async with aclosing(lines):
            async for line in lines:
                yield line

    return _KeptAlive(sent(), every=every, beat=beat, media_type=media_type, headers={**_HEADERS, **headers})


def data(content: dict[str, Any]) -> bytes:
    """An event."""
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n".encode()


def event(kind: str, content: dict[str, Any]) -> bytes:
    """An event that has its name in a line of its own."""
    return f"event: {kind}\n".encode() + data(content)
