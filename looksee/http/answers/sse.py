"""Server-sent events: how streamed answers travel, whatever the dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from starlette.responses import Response, StreamingResponse

from looksee.core import errors
from looksee.http.answers import error_responses

# Proxies are asked not to gather events, nor to keep them.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


# Of a route that may answer so, for the document.
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"description": "events of JSON"}}}}
}


def response(lines: AsyncGenerator[bytes, None], *, media_type: str = "text/event-stream") -> Response:
    """An answer that sends `lines` as they come. A client that leaves closes them."""

    async def sent() -> AsyncIterator[bytes]:
        async with aclosing(lines):
            async for line in lines:
                yield line

    return StreamingResponse(sent(), media_type=media_type, headers=_HEADERS)


def data(content: dict[str, Any]) -> bytes:
    """An event."""
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n".encode()


def broken_off(error: errors.LookseeError) -> bytes:
    """An error in mid-stream, in the shape of any other, as the last event.

    The moondream package takes an error event for no event and the end for an end, so behind it comes a line that it
    cannot read.
    """
    return data(error_responses.body(error)) + b"data: broken off\n\n"
