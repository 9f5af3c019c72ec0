"""One connection of the gateway, bounded before and behind what the ASGI app sees of it.

uvicorn waits for ever for the rest of a request's head, keeps as much of it as is sent, goes on reading a body whose
request has been answered, and holds what a client does not read. Each of these costs a client nothing.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from looksee.core import errors
from looksee.core.images import mib
from looksee.http import error_responses

HEAD_SECONDS = 20.0  # from a connection, or from a request's first byte, to the end of its headers
HEAD_BYTES = 64 * 2**10  # of a request's line and headers, about: what has come at once is read
LINGER_SECONDS = 30.0  # in which the rest of a body is read and dropped, when its request has been answered
UNREAD_SECONDS = 60.0  # in which a client takes nothing of its answer

_TOO_LONG = errors.RequestTooLarge(f"The request's line and headers have more than {mib(HEAD_BYTES)}.")
_MALFORMED = errors.InvalidRequest("This is no HTTP request that can be read.")


class BoundedConnection(HttpToolsProtocol):
    """A connection on which every wait for the client ends.

    What is bounded here has no request that could be answered with an error, but for a head that is too long or
    malformed: the connection is closed.
    """

    head_seconds, linger_seconds, unread_seconds = HEAD_SECONDS, LINGER_SECONDS, UNREAD_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head, self._head = True, 0  # between two requests too; bytes of the head
        self._ended = False  # whether a message ended in what came last
        self._waiting: asyncio.TimerHandle | None = None  # for the client to send
        self._unread: asyncio.TimerHandle | None = None  # for the client to read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._wait(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        within, self._ended = self._in_head, False
        super().data_received(data)
        if not within or not self._in_head or self._ended or self.transport.is_closing():
            return  # what is left of it behind a message's end is little
        self._head += len(data)
        if self._head > HEAD_BYTES:
            self._refuse(_TOO_LONG)
        elif self._waiting is None:
            self._wait(self.head_seconds)

    def on_headers_complete(self) -> None:
        self._in_head, self._head = False, 0
        self._stop_waiting()
        self._stop_watching()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = self._ended = True
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head:  # the body goes on
            self._wait(self.linger_seconds)
        elif self._head:  # the next request has begun
            self._wait(self.head_seconds)
        self._watch_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_watching()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_reading()  # what is closed waits for the client to take the rest

    def send_400_response(self, msg: str) -> None:
        self._refuse(_MALFORMED)

    def _refuse(self, error: errors.LookseeError) -> None:
        content = json.dumps(error_responses.body(error)).encode()
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(content)
        answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not answering:  # it would stand in the middle of an answer
            self.transport.write(STATUS_LINE[error.status] + head + content)
        self.transport.close()
        self._watch_reading()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(seconds, self._waited)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _waited(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
            self._watch_reading()
        else:  # the next request has begun behind one that is not answered yet
            self._wait(self.head_seconds)

    def _stop_watching(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _watch_reading(self) -> None:
        """From here on nothing is written until the client has read: the answer is whole, or writing is paused."""
        if self._unread is None and (size := self.transport.get_write_buffer_size()):
            self._unread = self.loop.call_later(self.unread_seconds, self._check_reading, size)

    def _check_reading(self, before: int) -> None:
        """Drop the connection if its client has read nothing meanwhile."""
        self._unread = None
        size = self.transport.get_write_buffer_size()
        if size and size >= before:
            self.transport.abort()
        else:
            self._watch_reading()


def bound_connections() -> None:
    """Let uvicorn make such connections in this process: it takes the class when its server starts."""
    auto.AutoHTTPProtocol = BoundedConnection
