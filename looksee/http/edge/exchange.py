"""One request and its answer as they pass through the edge."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from looksee.core import errors
from looksee.core.images import mib
from looksee.http import error_responses, page_policy
from looksee.http.edge import access_log
from looksee.http.edge.content_encoding import Unpacked
from looksee.http.edge.upload_budget import ArrivingBody
from looksee.http.error_sentences import raised

BODY_PAUSE = 30.0  # seconds in which no byte of a body comes

_BODY_HEADERS = (b"content-length", b"content-type", b"content-encoding", b"retry-after")
_DISCARD_SECONDS = 5.0
# One of these is before nearly every value in JSON, and none is in base64; "%" is for JSON that a form has escaped.
_BEFORE_VALUES = (b",", b"[", b"{", b"%")


class Exchange:
    """Receive and send of one request: counts the body, and reshapes an error answer once it is whole."""

    body_pause = BODY_PAUSE

    def __init__(
        self,
        receive: Receive,
        send: Send,
        max_body: int,
        max_values: int | None,
        request_id: str,
        *,
        no_body: bool = False,
    ) -> None:
        """`max_body`: bytes. `max_values`: about how many values a JSON body may have; None where it is never JSON.
        `no_body`: the answer to HEAD.
        """
        self._receive, self._send = receive, send
        self._max_body, self._max_values, self._request_id = max_body, max_values, request_id
        self._no_body = no_body
        self._whole = False  # whether all of the body has come
        self._unpacked: Unpacked | None = None
        self._size = self._values = 0  # of the body, unpacked
        self._held: Message | None = None  # the start of an error answer
        self._payload = bytearray()
        self._events = False  # whether the answer is a stream of events
        self.traffic = access_log.Traffic()
        self.headers: dict[str, str] = {}  # added to the answer
        self.upload: ArrivingBody | None = None  # where bodies are counted together
        self.arrived: Callable[[], None] | None = None  # called at the end of the body
        self.refusal: errors.LookseeError | None = None  # set when the body is too large, or broken

    @property
    def started(self) -> bool:
        """Whether anything has been sent."""
        return self.traffic.status != 0

    def unpack(self, encoding: str) -> None:
        """Unpack the body, which is compressed in that way."""
        self._unpacked = Unpacked(self._packed, encoding)

    async def _packed(self) -> Message:
        """The next message as it came; its bytes are the request's traffic."""
        message = await self._next()
        self.traffic.bytes_in += len(message.get("body", b""))
        if self.traffic.bytes_in > self._max_body:
            self.refusal = request_too_large(self._max_body)
        return message

    async def _next(self) -> Message:
        """Raises DeadlineExceeded where the body pauses for too long."""
        if self._whole:  # what may come is that the client leaves
            return await self._receive()
        try:
            async with asyncio.timeout(self.body_pause):
                message = await self._receive()
        except TimeoutError:
            raise errors.DeadlineExceeded(f"Nothing of the body came for {self.body_pause:.0f} seconds.") from None
        self._whole = not message.get("more_body")
        return message

    async def receive(self) -> Message:
        if self.refusal is not None:
            return {"type": "http.disconnect"}
        try:
            message = await (self._packed() if self._unpacked is None else self._unpacked.receive())
        except errors.LookseeError as error:
            self.refusal = error
            return {"type": "http.disconnect"}
        if message["type"] == "http.request":
            self._count(message.get("body", b""))
            if self.refusal is not None:
                return {"type": "http.disconnect"}  # what the app then answers is dropped
            if not message.get("more_body"):
                if self.upload is not None:
                    self.upload.arrives = False
                if self.arrived is not None:
                    self.arrived()
        return message

    def _count(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._max_body:
            self.refusal = request_too_large(self._max_body)
        elif self.upload is not None and (refusal := self.upload.add(len(part))) is not None:
            self.refusal = refusal
        elif self._max_values is not None:
            self._values += sum(map(part.count, _BEFORE_VALUES))
            if self._values > self._max_values:
                self.refusal = errors.RequestTooLarge(f"The JSON has more than {self._max_values:,} values.")

    async def send(self, message: Message) -> None:
        if self.refusal is not None:
            return  # `answer` sends it
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                self._held = message
                return
            await self._start(message)
        elif self._held is None:
            await self._continue(message)
        else:
            self._payload += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_held(self._held)

    async def answer(self, scope: Scope, error: errors.LookseeError) -> None:
        """Send the answer of an error."""

        async def nothing() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await (self._start(message) if message["type"] == "http.response.start" else self._continue(message))

        await error_responses.response(error)(scope, nothing, send)

    async def discard(self) -> None:
        """Read what still comes of the body: a connection that is closed with unread bytes takes the answer with it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while self.traffic.bytes_in <= self._max_body:
                    message = await self._packed()
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return

    async def break_off(self, error: errors.LookseeError) -> None:
        """End an answer that has begun: events with the error as the last one. Of other answers the rest is missing."""
        if self._events:
            await self._continue({"type": "http.response.body", "body": error_responses.broken_off(error)})

    async def _send_held(self, start: Message) -> None:
        payload = bytes(self._payload)
        error = error_responses.reshaped(start["status"], payload)
        if error is not None:
            replaced = error_responses.response(error)
            payload = bytes(replaced.body)
            start = {**start, "status": error.status, "headers": [*_kept(start), *replaced.raw_headers]}
        await self._start(start)
        await self._continue({"type": "http.response.body", "body": payload})

    async def _start(self, message: Message) -> None:
        self.traffic.status = message["status"]
        message.setdefault("headers", [])
        headers = MutableHeaders(scope=message)
        headers.update({**self.headers, "X-Request-ID": self._request_id})
        self._events = headers.get("content-type", "").startswith("text/event-stream")
        for name, value in page_policy.OF_ANY.items():
            headers.setdefault(name, value)
        await self._send(message)

    async def _continue(self, message: Message) -> None:
        if self._no_body:
            message = {**message, "body": b""}
        self.traffic.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _kept(start: Message) -> list[Any]:
    """The headers of an error answer that stay when it is reshaped: all but those that describe the body."""
    return [pair for pair in start.get("headers", ()) if pair[0].lower() not in _BODY_HEADERS]


def request_too_large(limit: int) -> errors.LookseeError:
    return errors.RequestTooLarge(f"The request has more than {mib(limit)}{raised('LOOKSEE_MAX_REQUEST_BYTES')}.")
