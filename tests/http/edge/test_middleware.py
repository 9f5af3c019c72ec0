"""The door around a small app: ids, limits, unknown addresses, and every error in our shape."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Match, Mount, Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from looksee.core import errors
from looksee.core.images import mib
from looksee.http import error_responses
from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from looksee.http.edge.route_table import RouteTable
from looksee.http.request_info import REQUEST_ID
from tests.http.app import Doors
from tests.support.loops import run, settle

LIMIT, MOST_VALUES = 1000, 50
TOO_LARGE = f"The request has more than {mib(LIMIT)}; LOOKSEE_MAX_REQUEST_BYTES raises the limit."
RawApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class App(Starlette):
    """Remembers what reached it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.log: list[str] = []
        super().__init__(
            routes=[
                Route("/plain", self.plain),
                Route("/id", self.show_id),
                Route("/echo", self.echo, methods=["POST"]),
                Route("/form", self.echo, methods=["POST"]),
                Route("/ignore-body", self.plain, methods=["POST"]),
                Route("/stream", self.stream),
                Route("/item/{number:int}", self.plain),
                Route("/ours", self.ours),
                Route("/text/{status:int}", self.text),
                Route("/json/{status:int}", self.json),
                Route("/http-exception", self.http_exception),
                Route("/boom", self.boom),
                Route("/swallow", self.swallow, methods=["POST"]),
                WebSocketRoute("/socket", self.socket),
                Mount("/raw", routes=[Route("/{name}", Raw())]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.append(scope.get("path", scope["type"]))
        await super().__call__(scope, receive, send)

    async def plain(self, _: Request) -> Response:
        return PlainTextResponse("fine", headers={"X-Own": "kept", "X-Request-ID": "the app's"})

    async def show_id(self, _: Request) -> Response:
        await asyncio.sleep(0)
        return PlainTextResponse(REQUEST_ID.get())

    async def echo(self, request: Request) -> Response:
        received = bytearray()
        async for part in request.stream():
            received += part
            self.log.append(f"part {len(part)}")
        return Response(bytes(received))

    async def swallow(self, request: Request) -> Response:
        """Like BentoML: whatever happens, it answers."""
        try:
            return Response(await request.body())
        except ClientDisconnect:
            self.log.append("disconnected")
            return PlainTextResponse("the app's own error", 500)

    async def stream(self, _: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"part %d;" % number

        return StreamingResponse(parts(), media_type="text/event-stream")

    async def ours(self, _: Request) -> Response:
        return error_responses.response(
            errors.Overloaded("Our own words.", param="model", retry_after=9), {"results": []}
        )

    async def text(self, request: Request) -> Response:
        return PlainTextResponse("a framework's text", request.path_params["status"], {"X-Own": "kept"})

    async def json(self, request: Request) -> Response:
        return JSONResponse({"error": "a framework's error"}, request.path_params["status"])

    async def http_exception(self, _: Request) -> Response:
        raise HTTPException(403, "a framework's words")

    async def boom(self, _: Request) -> Response:
        raise RuntimeError("secret inner words")

    async def socket(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()


class Raw:
    """ASGI without any framework's help."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].rpartition("/")[2]
        if name == "raise-first":
            raise RuntimeError("before anything")
        if name == "raise-after-error-start":
            await send({"type": "http.response.start", "status": 500, "headers": []})
            raise RuntimeError("between start and body")
        if name == "raise-after-start":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("half-way")
        if name == "error-in-parts":
            await send({"type": "http.response.start", "status": 400, "headers": [(b"x-own", b"kept")]})
            for part in (b'{"detail"', b': "x', b'"}'):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})
        if name == "ours-in-parts":
            payload = json.dumps(error_responses.body(errors.Overloaded("Our own words."))).encode()
            await send({"type": "http.response.start", "status": 429, "headers": []})
            await send({"type": "http.response.body", "body": payload[:20], "more_body": True})
            await send({"type": "http.response.body", "body": payload[20:]})
        if name == "error-without-headers":
            await send({"type": "http.response.start", "status": 404})
            await send({"type": "http.response.body", "body": b"no"})
        if name == "success-without-headers":
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body", "body": b""})
        if name == "hang":
            await asyncio.Event().wait()


def door(
    app: Starlette, *, gate: AccessControl | None = None, timeout: float = 5, longest: float = 5
) -> EdgeMiddleware:
    gate = gate or AccessControl(ApiKeys([]), ApiKeys([]))
    routes = RouteTable(form_paths=frozenset({"/form"}))
    return EdgeMiddleware(app, gate, routes, max_body=LIMIT, max_values=MOST_VALUES, timeout=timeout, longest=longest)


@asynccontextmanager
async def client(app: App | None = None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(door(app or App()))
    async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as inside:
        yield inside


def get(path: str, *, method: str = "GET", app: App | None = None, **options: Any) -> httpx.Response:
    """One request through the door, which never raises."""

    async def main() -> httpx.Response:
        async with client(app) as inside:
            return await inside.request(method, path, **options)

    return run(main())


def check(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """It is an error in our shape; its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    content = answer.json()
    error: dict[str, Any] = content["error"]
    assert set(error) == {"code", "message", "type", "param", "request_id"}
    assert error["code"] == code
    assert content["detail"] == error["message"]
    assert error["request_id"] == answer.headers["x-request-id"] != ""
    assert "framework" not in answer.text
    return error


async def exchange(
    app: App, path: str, *, body: list[bytes] | None = None, method: str = "GET", headers: dict[str, str] | None = None
) -> list[Message]:
    """What the server would be told to send, message by message."""
    scope: Scope = {
        "type": "http", "method": method, "path": path, "query_string": b"", "root_path": "", "http_version": "1.1",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()],
    }  # fmt: skip
    parts = list(body or [b""])
    sent: list[Message] = []

    async def receive() -> Message:
        if parts:
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await door(app)(scope, receive, send)
    return sent


# --- request ids -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "0f-9.A_:b", "x" * 128, "3fa85f64-5717-4562-b3fc-2c963f66afa6"])
@pytest.mark.parametrize("path", ["/plain", "/text/500", "/nowhere"])
def test_a_sane_id_comes_back(given: str, path: str) -> None:
    assert get(path, headers={"X-Request-ID": given}).headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", [None, "", " ", "x" * 129, "a b", "a\tb", "<script>", "a;b", "\u00e9", "\u00b2"])
@pytest.mark.parametrize("path", ["/plain", "/text/500", "/nowhere"])
def test_any_other_id_is_replaced(given: str | None, path: str) -> None:
    headers = {} if given is None else {"X-Request-ID": given.encode("latin-1")}
    (made,) = get(path, headers=headers).headers.get_list("x-request-id")
    assert made.isalnum()
    assert made.isascii()
    assert len(made) == 24
    assert made != given
    assert get(path).headers["x-request-id"] != made


def test_the_layers_below_know_the_id_and_forget_it() -> None:
    async def main() -> None:
        async with client() as inside:
            answers = await asyncio.gather(*(inside.get("/id", headers={"X-Request-ID": str(n)}) for n in range(5)))
        assert [answer.text for answer in answers] == ["0", "1", "2", "3", "4"]
        await exchange(App(), "/id", headers={"x-request-id": "mine"})
        assert REQUEST_ID.get() == ""

    run(main())


def test_the_id_stands_in_errors() -> None:
    assert check(get("/text/500", headers={"X-Request-ID": "mine"}), 500, "internal_error")["request_id"] == "mine"


# --- addresses and methods -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/nowhere", "/plain/more", "/item/x", "/raw", "/wp-login.php", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
def test_an_unknown_address_does_not_reach_the_app(path: str, method: str) -> None:
    app = App()
    check(get(path, method=method, app=app), 404, "not_found")
    assert app.reached == []


def test_an_address_is_looked_up_once() -> None:
    asked: list[str] = []

    class Counted(Route):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            asked.append(scope["path"])
            return super().matches(scope)

    app = App()
    app.router.routes.insert(0, Counted("/counted", app.plain))

    async def main() -> None:
        async with client(app) as inside:
            for path, status in [("/nowhere", 404), ("/nowhere", 404), ("/counted", 200), ("/counted", 200)]:
                assert (await inside.get(path)).status_code == status

    run(main())
    assert asked == ["/nowhere", "/counted", "/counted", "/counted"], "the app's own router asks too"


def test_an_unknown_address_has_no_head_either() -> None:
    app = App()
    assert get("/nowhere", method="HEAD", app=app).status_code == 404
    assert app.reached == []


@pytest.mark.parametrize("path", ["/plain", "/item/5", "/stream", "/id"])
def test_a_known_address_reaches_the_app(path: str) -> None:
    app = App()
    assert get(path, app=app).status_code == 200
    assert app.reached == [path]


def test_a_wrong_method_is_told_with_those_that_are_right() -> None:
    answer = get("/echo")
    check(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/plain", "/echo"])
def test_a_content_type_beyond_ascii_is_refused_before_anybody_logs_it(path: str) -> None:
    app = App()
    answer = get(path, method="POST", headers={"Content-Type": "image/\u00e9".encode("latin-1")}, app=app)
    check(answer, 400, "invalid_request")
    assert app.reached == []


# --- the body limit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, LIMIT])
def test_a_body_within_the_limit_arrives_whole(length: int) -> None:
    app = App()
    assert get("/echo", method="POST", content=b"x" * length, app=app).content == b"x" * length


def test_a_body_that_says_it_is_too_long_is_not_read() -> None:
    async def main() -> None:
        app, read = App(), list[bytes]()

        async def body() -> AsyncIterator[bytes]:
            for _ in range(LIMIT + 1):
                read.append(b"x")
                yield b"x"

        async with client(app) as inside:
            answer = await inside.post("/echo", content=body(), headers={"Content-Length": str(LIMIT + 1)})
        assert check(answer, 413, "request_too_large")["message"] == TOO_LARGE
        assert (app.reached, read) == ([], [])

    run(main())


TYPES = [
    None,
    "",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "Multipart/Mixed; boundary=x",
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "no type at all",
]


def typed(content_type: str | None) -> dict[str, str]:
    return {} if content_type is None else {"Content-Type": content_type}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"[" + b"0," * 49 + b"0]", 200),  # fifty in a list
        (b"[" + b"0," * 50 + b"0]", 413),
        (b"[" * 25 + b"{" * 26, 413),
        (b"image=%5B" + b"0%2C" * 50 + b"0%5D", 413),  # JSON in a form
        (b"image=%255B" + b"0%252C" * 50, 413),  # escaped once more
        (("[" + "0," * 50 + "0]").encode("utf-16"), 413),
        (("[" + "0," * 50 + "0]").encode("utf-32-be"), 413),
        (b'["data:image/png;base64,' + b"x" * 900 + b'"]', 200),
    ],
)
@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("path", ["/echo", "/swallow"])
def test_json_has_no_more_values_than_it_may(path: str, content: bytes, content_type: str | None, status: int) -> None:
    answer = get(path, method="POST", content=content, headers=typed(content_type))
    if status == 200:
        assert answer.content == content
    else:
        assert check(answer, 413, "request_too_large")["message"] == f"The JSON has more than {MOST_VALUES} values."


@pytest.mark.parametrize("content_type", TYPES)
def test_files_are_not_counted_as_json(content_type: str | None) -> None:
    """A file may hold any byte, and the routes that take files parse no JSON."""
    answer = get("/form", method="POST", content=b"[" * 600, headers=typed(content_type))
    assert answer.content == b"[" * 600


def taking(content_type: str) -> list[str]:
    """The mounted routes that describe such a body."""
    described: dict[str, dict[str, Any]] = Doors().app.openapi()["paths"]
    return [
        path
        for path, operations in described.items()
        if any(content_type in one.get("requestBody", {}).get("content", {}) for one in operations.values())
    ]


def test_the_routes_that_are_not_counted_are_those_that_take_files() -> None:
    assert sorted(taking("multipart/form-data")) == sorted(ROUTES.form_paths)
    assert len(taking("application/json")) >= 6


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("path", taking("application/json"))
def test_no_route_parses_more_json_than_it_may(path: str, content_type: str | None) -> None:
    served = EdgeMiddleware(
        Doors().app,
        AccessControl(ApiKeys([]), ApiKeys([])),
        ROUTES,
        max_body=10**6,
        max_values=1000,
        timeout=5,
        longest=5,
    )

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://looksee") as inside:
            for values, codes in ((10, (400, 422)), (2000, (413,))):  # read, and missing or unknown members named
                content = b'{"unknown": [' + b"0," * values + b"0]}"
                answer = await inside.post(path, content=content, headers=typed(content_type))
                assert answer.status_code in codes, answer.text

    run(main())


@pytest.mark.parametrize("path", ["/echo", "/swallow"])
@pytest.mark.parametrize("claimed", [None, "10"], ids=["chunked", "with a false length"])
def test_a_body_that_becomes_too_long_is_cut_off(path: str, claimed: str | None) -> None:
    async def main() -> None:
        app, read = App(), list[bytes]()

        async def body() -> AsyncIterator[bytes]:
            for _ in range(100):
                read.append(b"x" * 100)
                yield b"x" * 100

        headers = {} if claimed is None else {"Content-Length": claimed}
        async with client(app) as inside:
            answer = await inside.post(path, content=body(), headers=headers)
        check(answer, 413, "request_too_large")
        assert app.reached == [path]
        assert len(read) == LIMIT // 100 + 1  # it stops at once
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_chunked_body_of_just_the_limit_is_fine() -> None:
    async def main() -> None:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * (LIMIT // 10)

        async with client() as inside:
            answer = await inside.post("/echo", content=body())
        assert answer.status_code == 200
        assert answer.content == b"x" * LIMIT

    run(main())


def test_a_long_body_is_answered_once() -> None:
    async def main() -> None:
        app = App()
        for path in ("/echo", "/swallow"):
            sent = await exchange(app, path, body=[b"x" * 600] * 4, method="POST")
            assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
            assert sent[0]["status"] == 413
            await settle()
        assert "disconnected" in app.log

    run(main())


@pytest.mark.parametrize("length", ["abc", "-5", "", "1e9"])
def test_a_length_that_is_no_number_is_not_ours_to_judge(length: str) -> None:
    async def main() -> None:
        sent = await exchange(App(), "/echo", body=[b"x"], method="POST", headers={"content-length": length})
        assert sent[0]["status"] == 200

    run(main())


@pytest.mark.parametrize("length", ["\u00b2", "1" * 5000])
def test_a_strange_number_raises_nothing(length: str) -> None:
    async def main() -> None:
        sent = await exchange(App(), "/echo", body=[b"x"], method="POST", headers={"content-length": length})
        assert sent[0]["status"] in (200, 400, 413)

    run(main())


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/text/500", 500, "internal_error"),
        ("/text/400", 400, "invalid_request"),
        ("/text/404", 404, "not_found"),
        ("/text/503", 503, "model_not_ready"),
        ("/json/400", 400, "invalid_request"),
        ("/json/415", 415, "unsupported_media_type"),
        ("/json/500", 500, "internal_error"),
        ("/json/504", 504, "deadline_exceeded"),
        ("/http-exception", 403, "wrong_key"),
        ("/raw/error-in-parts", 400, "invalid_request"),
        ("/raw/raise-after-error-start", 500, "internal_error"),
        ("/raw/raise-first", 500, "internal_error"),
        ("/boom", 500, "internal_error"),
    ],
)
def test_a_frameworks_error_leaves_in_our_shape(path: str, status: int, code: str) -> None:
    check(get(path), status, code)


def test_an_error_in_parts_is_sent_once_and_whole() -> None:
    async def main() -> None:
        for path, status in (("/raw/error-in-parts", 400), ("/raw/ours-in-parts", 429)):
            start, body = await exchange(App(), path, headers={"x-request-id": "mine"})
            assert start["status"] == status
            assert json.loads(body["body"])["error"]["request_id"] == "mine"

    run(main())


def test_headers_of_a_reshaped_error_are_kept_but_for_those_of_the_body() -> None:
    for path in ("/text/400", "/raw/error-in-parts"):
        answer = get(path)
        assert answer.headers["x-own"] == "kept"
        assert len(answer.headers.get_list("content-type")) == len(answer.headers.get_list("content-length")) == 1


def test_our_own_error_is_left_alone() -> None:
    answer = get("/ours")
    error = check(answer, 429, "overloaded")
    assert (error["message"], error["param"]) == ("Our own words.", "model")
    assert answer.headers["retry-after"] == "9"
    assert answer.json()["results"] == []


@pytest.mark.parametrize("path", ["/boom", "/raw/raise-first"])
def test_a_handler_that_raises_says_nothing_of_it_to_the_caller(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="looksee.door"):
        answer = get(path)
    assert "secret" not in answer.text
    assert "before anything" not in answer.text
    assert "RuntimeError" in caplog.text


def test_a_handler_that_raises_half_way_is_not_answered_twice() -> None:
    async def main() -> None:
        sent = await exchange(App(), "/raw/raise-after-start")
        assert [(message["type"], message.get("body")) for message in sent] == [
            ("http.response.start", None),
            ("http.response.body", b"half"),
        ]

    run(main())


def test_an_error_without_headers_is_reshaped() -> None:
    check(get("/raw/error-without-headers"), 404, "not_found")


def test_a_status_that_our_table_lacks_stays_the_callers_mistake() -> None:
    assert get("/text/406").status_code // 100 == 4


# --- everything else passes ------------------------------------------------------------------------------------------


def test_a_success_passes_untouched_but_for_the_id() -> None:
    answer = get("/plain", headers={"X-Request-ID": "mine"})
    assert (answer.status_code, answer.text, answer.headers["x-own"]) == (200, "fine", "kept")
    assert answer.headers.get_list("x-request-id") == ["mine"]
    assert get("/raw/success-without-headers").status_code == 204


def test_a_success_is_streamed_as_it_comes() -> None:
    async def main() -> None:
        start, *bodies = await exchange(App(), "/stream")
        assert start["status"] == 200
        assert [(body["body"], body.get("more_body", False)) for body in bodies] == [
            (b"part 0;", True),
            (b"part 1;", True),
            (b"part 2;", True),
            (b"", False),
        ]
        assert dict(start["headers"])[b"content-type"].startswith(b"text/event-stream")

    run(main())


def test_a_large_success_is_no_ones_business() -> None:
    async def main() -> None:
        body = [b"y" * 100] * 10
        sent = await exchange(App(), "/echo", body=body, method="POST")
        assert sent[1]["body"] == b"".join(body)

    run(main())


@pytest.mark.parametrize("kind", ["websocket", "webtransport", "of.next.year"])
def test_what_is_no_http_is_refused(kind: str) -> None:
    """Though the app has a route for it: nothing here would ask for a key, or count what comes."""

    async def main() -> None:
        app, sent = App(), list[Message]()
        scope: Scope = {"type": kind, "path": "/socket", "headers": [], "query_string": b"", "root_path": ""}

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await door(app)(scope, receive, send)
        assert [message["type"] for message in sent] == (["websocket.close"] if kind == "websocket" else [])
        assert app.reached == []

    run(main())


def test_the_apps_life_passes() -> None:
    async def main() -> None:
        sent = list[Message]()
        steps: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> Message:
            return steps.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        await door(App())({"type": "lifespan", "state": {}}, receive, send)
        assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    run(main())


def test_a_server_that_stops_stops_the_app_too() -> None:
    async def main() -> None:
        task = asyncio.create_task(exchange(App(), "/raw/hang"))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_departure_is_passed_on() -> None:
    async def main() -> None:
        app = App()
        sent = await exchange(app, "/swallow", body=[b"x", b"y"], method="POST")
        assert sent[1]["body"] == b"xy"
        seen: list[str] = []

        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            while not seen or seen[-1] != "http.disconnect":
                seen.append((await receive())["type"])

        app.router.routes.insert(0, Route("/watch", _Asgi(watch)))
        await exchange(app, "/watch")
        assert seen == ["http.request", "http.disconnect"]

    run(main())


class _Asgi:
    """A function as an app: Starlette would take the function for a handler."""

    def __init__(self, app: RawApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def test_these_checks_see_other_shapes() -> None:
    with pytest.raises((AssertionError, KeyError, json.JSONDecodeError)):
        check(httpx.Response(500, text="Internal Server Error"), 500, "internal_error")


def test_a_request_that_never_ends_is_answered_in_the_end() -> None:
    cancelled: list[bool] = []

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def main() -> None:
        app = Starlette(routes=[Route("/never", never)])
        app.router.routes[0].app = never  # type: ignore[attr-defined]
        transport = httpx.ASGITransport(door(app, longest=0.05))
        async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
            check(await client.get("/never"), 504, "deadline_exceeded")
        await asyncio.sleep(0)
        assert cancelled == [True]

    run(main())
