"""The outermost layer: request ids, keys, limits, deadlines, unknown addresses, the access log, and the one error shape
on every answer.

It stands outside everything BentoML and FastAPI do, so that whatever they answer leaves in our shape, and a request
that is refused has cost nothing: its body is not read.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Container, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from looksee.core import errors
from looksee.core.images import mib
from looksee.http.answers import error_responses
from looksee.http.context import DEADLINE, Deadline, begun, deadline_from, request_id_from
from looksee.http.dialects import captioning
from looksee.http.edge import access_log, paths
from looksee.http.edge.auth import AccessControl

logger = logging.getLogger("looksee.door")


_OF_THE_BODY = (b"content-length", b"content-type", b"content-encoding", b"retry-after")
_LONGEST_LENGTH = 15  # digits: whatever has more is over any limit
_PATHS = 256  # whose answer is remembered: asking all routes takes longer than anything else that is done here
# One of them stands before almost each value of JSON, and none in base64; a percent sign in JSON that a form escapes.
_BEFORE_VALUES = (b",", b"[", b"{", b"%")
_MOST_VALUES = 1_000_000  # everybody waits 50 ms while they are parsed, and for 64 MiB of them 1.4 to 2.4 s
_GRACE = 2.0  # seconds after its deadline in which those at work on a request may still answer: they know more


class EdgeMiddleware:
    """ASGI middleware around the whole gateway."""

    def __init__(
        self,
        app: Starlette,
        gate: AccessControl,
        *,
        max_body: int,
        max_values: int = _MOST_VALUES,
        timeout: float,
        longest: float,
        timeouts: Mapping[str, float] = {},
        forms: Container[str] = (),
        no_forms: Container[str] = (),
        check_room: Callable[[str], None] = lambda model: None,
    ) -> None:
        """`max_body`: bytes of a body, and `max_values`: values in one of JSON, counted while it arrives. `timeout`:
        seconds from its arrival to the answer. `longest`: seconds of a request, its upload too. `timeouts` are those
        of paths that have their own. `check_room` raises Overloaded for a model that takes no more, before a large
        body is read for nothing. `forms`: paths that take files in a form and never parse JSON; a body for any other
        path is counted as JSON whatever its Content-Type says, since its route parses it whatever that says.
        `no_forms`: paths of BentoML's methods, which takes any form for one of its own and fails on others.
        """
        self.app, self._gate = app, gate
        self._max_body, self._max_values = max_body, max_values
        self._timeout, self._upload = timeout, longest - timeout
        self._timeouts, self._forms, self._no_forms, self._check_room = timeouts, forms, no_forms, check_room
        self._known = functools.lru_cache(_PATHS)(self._routed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        scope = {**scope, "path": paths.tidied(scope["path"])}
        headers = Headers(scope=scope)
        request_id = request_id_from(headers.get("x-request-id"))
        known = self._known(scope["path"], scope.get("root_path", ""))
        max_values = None if scope["path"] in self._forms else self._max_values
        exchange = _Exchange(receive, send, self._max_body, max_values, request_id)
        with begun(request_id) as facts:
            try:
                if not known:  # before it is counted: BentoML keeps metrics for every path it ever saw
                    raise paths.unknown(scope["path"])
                await self._gate.admit(scope, headers, exchange.headers)
                if scope["path"] in captioning.MODELS:
                    query = QueryParams(scope["query_string"])
                    self._check_room(query.get("model", captioning.MODELS[scope["path"]]))
                await self._serve(scope, exchange, self._checked(scope["path"], headers))
            except errors.LookseeError as refusal:
                await exchange.answer(scope, refusal)
            finally:
                path = scope["path"] if known else None
                access_log.write(scope["method"], path, exchange.traffic, facts, time.perf_counter() - started)

    def _routed(self, path: str, root_path: str) -> bool:
        """Whether there is anything at `path`, for whatever HTTP method."""
        scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}
        return any(route.matches(scope)[0] is not Match.NONE for route in self.app.router.routes)

    def _checked(self, path: str, headers: Headers) -> Deadline:
        """The deadline of a request. Raises InvalidValue, InvalidRequest or RequestTooLarge for its headers."""
        deadline = deadline_from(headers.get("x-request-timeout"), self._allowed(path))
        if not headers.get("content-type", "").isascii():
            raise errors.InvalidRequest("The Content-Type header is malformed.")  # no parser has to guess at it
        if path in self._no_forms and headers.get("content-type", "").lower().startswith("multipart/"):
            raise errors.UnsupportedMediaType("Send JSON here, not a form.")
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and (len(length) > _LONGEST_LENGTH or int(length) > self._max_body):
            raise _too_large(self._max_body)
        return deadline

    def _allowed(self, path: str) -> float:
        return self._timeouts.get(path, self._timeout)

    async def _serve(self, scope: Scope, exchange: _Exchange, deadline: Deadline) -> None:
        DEADLINE.set(deadline)
        error: errors.LookseeError | None = None
        loop = asyncio.get_running_loop()
        longest = self._allowed(scope["path"]) + self._upload
        try:
            async with asyncio.timeout(longest) as clock:
                end = loop.time() + longest

                def arrived() -> None:
                    deadline.start()
                    if not clock.expired():
                        clock.reschedule(min(end, loop.time() + deadline.seconds + _GRACE))

                exchange.arrived = arrived
                await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            if clock.expired():
                error = error_responses.of_status(504)
            elif exchange.refusal is None:
                logger.exception("a request failed outside its handler")
                error = error_responses.of_status(500)
        finally:
            exchange.arrived = None
        error = exchange.refusal or error
        if error is not None and not exchange.started:
            await exchange.answer(scope, error)


class _Exchange:
    """One request's receive and send: counts the body in, holds error answers back until they can be reshaped."""

    def __init__(self, receive: Receive, send: Send, max_body: int, max_values: int | None, request_id: str) -> None:
        """`max_body`: bytes. `max_values`: of a body that may be JSON, about; None where it never is."""
        self._receive, self._send = receive, send
        self._max_body, self._max_values, self._request_id = max_body, max_values, request_id
        self._values = 0
        self._held: Message | None = None  # the start of an error answer
        self._payload = bytearray()
        self.traffic = access_log.Traffic()
        self.headers: dict[str, str] = {}  # further ones of the answer
        self.arrived: Callable[[], None] | None = None  # told when the body is here
        self.refusal: errors.LookseeError | None = None  # the body is larger than it may be

    @property
    def started(self) -> bool:
        """Whether anything has been sent."""
        return self.traffic.status != 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._count(message.get("body", b""))
            if self.refusal is not None:
                return {"type": "http.disconnect"}  # what the app does with it reaches nobody
            if not message.get("more_body") and self.arrived is not None:
                self.arrived()
        return message

    def _count(self, part: bytes) -> None:
        self.traffic.bytes_in += len(part)
        if self.traffic.bytes_in > self._max_body:
            self.refusal = _too_large(self._max_body)
        elif self._max_values is not None:
            self._values += sum(map(part.count, _BEFORE_VALUES))
            if self._values > self._max_values:
                self.refusal = errors.RequestTooLarge(f"The JSON has more than {self._max_values:,} values.")

    async def send(self, message: Message) -> None:
        if self.refusal is not None:
            return  # the answer is ours
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
        """Answer with our own error."""

        async def nothing() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await (self._start(message) if message["type"] == "http.response.start" else self._continue(message))

        await error_responses.response(error)(scope, nothing, send)

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
        MutableHeaders(scope=message).update({**self.headers, "X-Request-ID": self._request_id})
        await self._send(message)

    async def _continue(self, message: Message) -> None:
        self.traffic.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _kept(start: Message) -> list[Any]:
    """The headers of a reshaped answer that still hold: all but those that are given anew."""
    return [pair for pair in start.get("headers", ()) if pair[0].lower() not in _OF_THE_BODY]


def _too_large(limit: int) -> errors.LookseeError:
    return errors.RequestTooLarge(f"The request has more than {mib(limit)}.")
