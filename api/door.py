"""The outermost layer: request ids, the body limit, unknown addresses, and the one error shape on every answer.

It stands outside everything BentoML and FastAPI do, so that whatever they answer leaves in our shape, and nothing ever
raises through BentoML's timeout middleware, which would leave the caller without an answer.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

import errors
from api import paths, shape
from api.context import REQUEST_ID, request_id_from
from vision.images import mib

logger = logging.getLogger("looksee.door")


_OF_THE_BODY = (b"content-length", b"content-type", b"content-encoding", b"retry-after")
_LONGEST_LENGTH = 15  # digits: whatever has more is over any limit


class Door:
    """ASGI middleware around the whole gateway."""

    def __init__(self, app: Starlette, *, max_body: int, longest: float) -> None:
        """`max_body`: bytes of a body, counted while they arrive. `longest`: seconds of a request, its upload too."""
        self.app = app
        self._max_body, self._longest = max_body, longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = request_id_from(headers.get("x-request-id"))
        token = REQUEST_ID.set(request_id)
        try:
            exchange = _Exchange(receive, send, self._max_body, request_id)
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await exchange.answer(scope, refusal)
            else:
                await self._serve(scope, exchange)
        finally:
            REQUEST_ID.reset(token)

    def _refusal(self, scope: Scope, headers: Headers) -> errors.LookseeError | None:
        """What can be refused before anything is read or counted: BentoML keeps metrics for every path it ever saw."""
        if all(route.matches(scope)[0] is Match.NONE for route in self.app.router.routes):
            return paths.unknown(scope["path"])
        if not headers.get("content-type", "").isascii():
            return errors.InvalidRequest("The Content-Type header is malformed.")  # BentoML's access log fails on it
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and (len(length) > _LONGEST_LENGTH or int(length) > self._max_body):
            return _too_large(self._max_body)
        return None

    async def _serve(self, scope: Scope, exchange: _Exchange) -> None:
        error: errors.LookseeError | None = None
        try:
            async with asyncio.timeout(self._longest) as clock:
                await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            if clock.expired():
                error = shape.of_status(504)
            elif not exchange.overflowed:
                logger.exception("a request failed outside its handler")
                error = shape.of_status(500)
        if exchange.overflowed:
            error = _too_large(self._max_body)
        if error is not None and not exchange.started:
            await exchange.answer(scope, error)


class _Exchange:
    """One request's receive and send: counts the body in, holds error answers back until they can be reshaped."""

    def __init__(self, receive: Receive, send: Send, max_body: int, request_id: str) -> None:
        self._receive, self._send = receive, send
        self._max_body, self._request_id = max_body, request_id
        self._received = 0
        self._held: Message | None = None  # the start of an error answer
        self._payload = bytearray()
        self.overflowed = False  # the body was longer than it may be
        self.started = False  # whether anything has been sent

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_body:
                self.overflowed = True
                return {"type": "http.disconnect"}  # what the app does with it reaches nobody
        return message

    async def send(self, message: Message) -> None:
        if self.overflowed:
            return  # the answer is ours
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                self._held = message
                return
            await self._start(message)
        elif self._held is None:
            await self._send(message)
        else:
            self._payload += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_held(self._held)

    async def answer(self, scope: Scope, error: errors.LookseeError) -> None:
        """Answer with our own error."""

        async def nothing() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await (self._start(message) if message["type"] == "http.response.start" else self._send(message))

        await shape.response(error)(scope, nothing, send)

    async def _send_held(self, start: Message) -> None:
        payload = bytes(self._payload)
        error = shape.reshaped(start["status"], payload)
        if error is not None:
            replaced = shape.response(error)
            payload = bytes(replaced.body)
            start = {**start, "status": error.status, "headers": [*_kept(start), *replaced.raw_headers]}
        await self._start(start)
        await self._send({"type": "http.response.body", "body": payload})

    async def _start(self, message: Message) -> None:
        self.started = True
        message.setdefault("headers", [])
        MutableHeaders(scope=message)["X-Request-ID"] = self._request_id
        await self._send(message)


def _kept(start: Message) -> list[Any]:
    """The headers of a reshaped answer that still hold: all but those that are given anew."""
    return [pair for pair in start.get("headers", ()) if pair[0].lower() not in _OF_THE_BODY]


def _too_large(limit: int) -> errors.LookseeError:
    return errors.RequestTooLarge(f"The request has more than {mib(limit)}.")
