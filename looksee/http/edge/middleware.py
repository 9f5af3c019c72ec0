"""The outermost ASGI middleware: request ids, access control, size limits, deadlines, unknown paths, the access log,
and one shape for every error.

It is outside BentoML and FastAPI, so that their errors get that shape too, and a refused request costs little: its body
is not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Container, Mapping

from opentelemetry.trace import INVALID_SPAN
from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from looksee.core import errors
from looksee.http import error_responses
from looksee.http.edge import access_log, content_encoding
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.drain import CLOSING, Drain, Unfinished
from looksee.http.edge.exchange import Exchange, request_too_large
from looksee.http.edge.foreign_pages import ForeignPages
from looksee.http.edge.route_table import METRICS, RouteTable, normalized
from looksee.http.edge.upload_budget import UploadBudget
from looksee.http.request_info import DEADLINE, Deadline, deadline_from, request_id_from, request_scope
from looksee.watching import requests, spans

logger = logging.getLogger("looksee.edge")

_LONGEST_LENGTH = 15  # digits of a Content-Length: more are over any limit
_PATHS = 256  # whose match is cached: matching all routes takes longer than everything else here
_MOST_VALUES = 1_000_000  # parsing them blocks the event loop for 50 ms, and 64 MiB of them for 1.4 to 2.4 s
_OF_PACKED = (b"content-encoding", b"content-length")  # headers that are not of the unpacked body
_NOT_ALLOWED = 1008  # RFC 6455, section 7.4.1: it violates a policy
_GRACE = 2.0  # seconds after the deadline in which a handler may still answer with a more precise error


class EdgeMiddleware:
    """ASGI middleware around the whole gateway."""

    def __init__(
        self,
        app: Starlette,
        access: AccessControl,
        routes: RouteTable,
        *,
        max_body: int,
        max_values: int = _MOST_VALUES,
        timeout: float,
        longest: float,
        timeouts: Mapping[str, float] = {},
        no_forms: Container[str] = (),
        pages: ForeignPages | None = None,
        check_room: Callable[[str], None] = lambda model: None,
        max_uploads: int | None = None,
        drain: Drain | None = None,
    ) -> None:
        """`max_body`: bytes of a body. `max_values`: values in a JSON body, counted while it arrives; a body for any
        path but the form paths counts as JSON, since its route parses it whatever the Content-Type is. `timeout`:
        seconds from the end of the body to the answer; `timeouts`: the same for single paths. `longest`: seconds of a
        request with its upload. `no_forms`: paths of BentoML's methods, which fail on forms that are not theirs.
        `pages` decides which web pages may have a browser send work; without it only those of the service itself.
        `check_room` raises Overloaded for a model whose queue is full, before a large body is read in vain.
        `max_uploads`: bytes of the bodies of all requests under way together.
        `drain` has all requests that are being answered, and refuses further ones once it has begun.
        """
        self.app, self._access, self._routes = app, access, routes
        self._max_body, self._max_values = max_body, max_values
        self._timeout, self._upload = timeout, longest - timeout
        self._timeouts, self._no_forms, self._check_room = timeouts, no_forms, check_room
        self._uploads = UploadBudget(max_uploads) if max_uploads is not None else None
        self._drain = drain or Drain()
        self._pages = pages or ForeignPages()
        self._has_route = functools.lru_cache(_PATHS)(self._matches)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await _refuse(scope, receive, send)
            return
        started, routes = time.perf_counter(), self._routes
        path, private = routes.apart(normalized(scope["path"]))
        scope, method = {**scope, "path": path}, scope["method"]
        headers = Headers(scope=scope)
        if method == "HEAD":
            scope["method"] = "GET"  # whose answer it gets, without the body
        request_id = request_id_from(headers.get("x-request-id"))
        known = self._has_route(path, scope.get("root_path", ""))
        max_values = None if path in routes.form_paths else self._max_values
        exchange = Exchange(receive, send, self._max_body, max_values, request_id, no_body=method == "HEAD")
        if self._drain.begun:
            exchange.headers |= CLOSING
        shown, is_open = path if known else None, path in routes.open_paths
        # Pages and probes are asked for all the time, and tell nothing.
        quiet = is_open or path == METRICS
        opened = contextlib.nullcontext(INVALID_SPAN) if quiet else spans.of_request(method, shown, headers)
        with request_scope(request_id) as info, opened as span:
            info.error_shape, info.private = routes.error_shape(path), private
            try:
                self._drain.check(path)
                if not known:  # BentoML would keep metrics for the path
                    raise routes.unknown(path)
                if routes.acts(method, path):
                    self._pages.check(headers, scope.get("server"))
                info.client = await self._access.admit(scope, headers, routes, exchange.headers)
                if path in routes.default_models:
                    query = QueryParams(scope["query_string"])
                    self._check_room(query.get("model", routes.default_models[path]))
                deadline = self._checked(path, headers)
                if self._uploads is not None:
                    exchange.upload = self._uploads.begin()
                    exchange.upload.check(_declared(headers))
                    info.hold = exchange.upload.add
                packed = content_encoding.encoding(headers, exchange.headers)
                if packed is not None:
                    exchange.unpack(packed)
                    scope["headers"] = [pair for pair in scope["headers"] if pair[0].lower() not in _OF_PACKED]
                await self._serve(scope, exchange, deadline)
            except errors.LookseeError as refusal:
                if self._drain.begun and "expect" not in headers:
                    await exchange.discard()
                await exchange.answer(scope, refusal)
            finally:
                if exchange.upload is not None:
                    exchange.upload.end()
                seconds = time.perf_counter() - started
                access_log.write(method, shown, exchange.traffic, info, seconds, is_open=is_open)
                if not quiet:
                    requests.count_http(exchange.traffic.status, info.error or "")
                spans.end_request(span, exchange.traffic.status, info.error, {"looksee.request_id": request_id})

    def _matches(self, path: str, root_path: str) -> bool:
        """Whether a route matches `path`, with any HTTP method."""
        scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}
        return any(route.matches(scope)[0] is not Match.NONE for route in self.app.router.routes)

    def _checked(self, path: str, headers: Headers) -> Deadline:
        """The deadline of a request. Raises InvalidValue, InvalidRequest or RequestTooLarge for its headers."""
        deadline = deadline_from(headers.get("x-request-timeout"), self._allowed(path))
        if not headers.get("content-type", "").isascii():
            raise errors.InvalidRequest("The Content-Type header is malformed.")  # parsers differ in how they decode it
        if path in self._no_forms and headers.get("content-type", "").lower().startswith("multipart/"):
            raise errors.UnsupportedMediaType("Send JSON here; pictures in a form go to /upload/... and /api/....")
        if _declared(headers) > self._max_body:
            raise request_too_large(self._max_body)
        return deadline

    def _allowed(self, path: str) -> float:
        return self._timeouts.get(path, self._timeout)

    async def _serve(self, scope: Scope, exchange: Exchange, deadline: Deadline) -> None:
        DEADLINE.set(deadline)
        error: errors.LookseeError | None = None
        loop = asyncio.get_running_loop()
        longest = self._allowed(scope["path"]) + self._upload
        try:
            async with asyncio.timeout(longest) as clock:
                end = loop.time() + longest
                unfinished = Unfinished(exchange, deadline, clock)

                def arrived() -> None:
                    deadline.start()
                    if not clock.expired():
                        clock.reschedule(min(end, loop.time() + deadline.seconds + _GRACE))

                def moved() -> None:
                    if not clock.expired():
                        clock.reschedule(loop.time() + deadline.longest() + _GRACE)

                def give_way(refusal: errors.LookseeError) -> None:
                    exchange.refusal = refusal
                    if not clock.expired():
                        clock.reschedule(loop.time())

                exchange.arrived, deadline.on_change = arrived, moved
                if exchange.upload is not None:
                    exchange.upload.give_way = give_way
                with self._drain.holding(unfinished):
                    await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            if clock.expired():
                error = unfinished.error or error_responses.of_status(504)
            elif exchange.refusal is None:
                logger.exception("a request failed outside its handler")
                error = error_responses.of_status(500)
        finally:
            exchange.arrived, deadline.on_change = None, lambda: None
            if exchange.upload is not None:
                exchange.upload.end()
        error = exchange.refusal or error
        if error is not None:
            await (exchange.break_off(error) if exchange.started else exchange.answer(scope, error))


def _declared(headers: Headers) -> int:
    """The bytes that the body should have; 0 where nothing says it. Of absurdly many digits only some count."""
    length = headers.get("content-length", "0")
    return int(length[: _LONGEST_LENGTH + 1]) if length.isascii() and length.isdigit() else 0


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse what is no HTTP: no key, limit or deadline here would hold for it. There is no route for a WebSocket; the
    server answers its handshake 403.
    """
    if scope["type"] == "websocket":
        await receive()  # its first message: that it would be opened
        await send({"type": "websocket.close", "code": _NOT_ALLOWED})
