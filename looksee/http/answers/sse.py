"""Server-sent events, for all dialects that stream."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from starlette.responses import Response, StreamingResponse

# Proxies must not buffer or store events.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


# Of a route that may answer so, for the document.
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"description": "events of JSON"}}}}
}


def response(lines: AsyncGenerator[bytes, None], *, media_type: str = "text/event-stream") -> Response:
    """A streamed answer of `lines`; they are closed when the client disconnects."""

    async def sent() -> AsyncIterator[bytes]:
        async with aclosing(lines):
            async for line in lines:
                yield line

    return StreamingResponse(sent(), media_type=media_type, headers=_HEADERS)


def data(content: dict[str, Any]) -> bytes:
    """An event."""
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n".encode()
