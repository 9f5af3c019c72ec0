"""Who may pass the door: keys of clients and of metrics, addresses that are open, and what a refusal costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cache.guarded_redis import GuardedRedis
from looksee.http.app import ROUTES
from looksee.http.dialects.pages import OPEN
from looksee.http.edge.access.api_keys import ApiKeys, presented
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.access.rate_limit import RateLimit
from looksee.http.edge.foreign_pages import ForeignPages
from looksee.http.edge.middleware import EdgeMiddleware
from tests.http.app import Doors, error
from tests.support.loops import run

MODEL_ROUTES = ["/caption", "/api/caption-images", "/v1/models", "/v1/chat/completions", "/upload/detect", "/some/new"]
HEADERS = [
    {"X-API-Key": "two"},
    {"x-moondream-auth": "two"},
    {"Authorization": "Bearer two"},
    {"Authorization": "bearer  two "},
    {"X-API-Key": "wrong", "Authorization": "Bearer two"},
    {"X-API-Key": "", "X-Moondream-Auth": "two"},
    {"Token": "two"},
]


class Behind:
    """A gateway with a route for each path, behind a door with these keys."""

    def __init__(self, *clients: str, metrics: str = "", per_minute: int = 0, origins: Sequence[str] = ()) -> None:
        self.reached: list[str] = []
        self.read = 0
        methods = ["GET", "POST"]
        paths = [*MODEL_ROUTES, "/metrics", "/api/admin/cache", *OPEN]
        app = Starlette(routes=[Route(path, self.answer, methods=methods) for path in paths])
        rate = RateLimit(per_minute, GuardedRedis("", timeout=1)) if per_minute else None
        self.door = EdgeMiddleware(
            app,
            AccessControl(ApiKeys(clients), ApiKeys([metrics]), rate),
            ROUTES,
            max_body=100,
            timeout=5,
            longest=5,
            pages=ForeignPages(origins),
        )

    async def answer(self, request: Request) -> Response:
        self.reached.append(request.url.path)
        await request.body()
        return PlainTextResponse("fine")

    async def body(self) -> AsyncIterator[bytes]:
        self.read += 1
        yield b"x"

    async def send(self, path: str, method: str = "POST", caller: str = "10.0.0.1", **headers: str) -> httpx.Response:
        named: Any = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
        transport = httpx.ASGITransport(self.door, client=(caller, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
            return await client.request(method, f"http://looksee{path}", headers=named, content=self.body())

    def ask(self, path: str, method: str = "POST", **headers: str) -> httpx.Response:
        return run(self.send(path, method, **headers))


@pytest.mark.parametrize("path", MODEL_ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_keys_the_service_is_open(path: str, method: str) -> None:
    assert Behind().ask(path, method).status_code == 200


@pytest.mark.parametrize("path", MODEL_ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_with_keys_whatever_is_not_named_asks_for_one_before_anything_is_read(path: str, method: str) -> None:
    behind = Behind("one", "two")
    for headers, refusal in (({}, (401, "missing_key", None)), ({"X_API_Key": "three"}, (403, "wrong_key", None))):
        answer = behind.ask(path, method, **headers)
        assert error(answer) == refusal
        assert ("www-authenticate" in answer.headers) is (refusal[0] == 401)
    assert (behind.reached, behind.read) == ([], 0)


@pytest.mark.parametrize("headers", HEADERS)
def test_a_key_may_come_in_any_of_three_headers(headers: dict[str, str]) -> None:
    behind = Behind("one", "two")
    assert behind.ask("/caption", **{name.replace("-", "_"): value for name, value in headers.items()}).text == "fine"


@pytest.mark.parametrize("path", sorted(OPEN))
def test_the_page_the_documents_and_health_stay_open(path: str) -> None:
    assert Behind("one", metrics="two").ask(path, "GET").status_code == 200


@pytest.mark.parametrize("path", ["/captions", "/caption/x", "/nowhere"])
def test_an_address_that_does_not_exist_is_told_so_without_a_key(path: str) -> None:
    assert error(Behind("one").ask(path))[:2] == (404, "not_found")


def test_metrics_have_a_key_of_their_own() -> None:
    assert Behind("one").ask("/metrics", "GET").status_code == 200
    behind = Behind("one", metrics="two")
    assert error(behind.ask("/metrics", "GET"))[:2] == (401, "missing_key")
    assert error(behind.ask("/metrics", "GET", X_API_Key="one"))[:2] == (403, "wrong_key")
    assert behind.ask("/metrics", "GET", Authorization="Bearer two").status_code == 200
    assert error(behind.ask("/caption", Authorization="Bearer two"))[:2] == (403, "wrong_key")


def test_the_admin_routes_ask_for_their_own_key_behind_the_door() -> None:
    assert Behind("one", per_minute=1).ask("/api/admin/cache").status_code == 200


@pytest.mark.parametrize("given", ["one", "\u00e9", "sch\u00f6n", "admin\u00ff"])
def test_the_admin_key_is_compared_whatever_comes(given: str) -> None:
    doors = Doors(api_key="admin")

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(doors.app), base_url="http://looksee") as client:
            headers = [(b"x-api-key", given.encode("latin-1"))]
            return await client.get("/api/admin/cache", headers=headers)

    assert error(run(main())) == (403, "wrong_key", "X-API-Key")


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], []),
        ([("x-api-key", "")], []),
        ([("authorization", "Basic abc")], []),
        ([("authorization", "Bearer")], []),
        ([("authorization", "Bearer ")], []),
        ([("authorization", "bEARER a b")], [b"a b"]),
        ([("x-api-key", "a"), ("x-api-key", "b"), ("authorization", "Bearer c")], [b"a", b"b", b"c"]),
        ([("x-moondream-auth", "\u00e9")], [b"\xe9"]),
    ],
)
def test_keys_are_found_as_the_bytes_that_came(headers: list[tuple[str, str]], found: list[bytes]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    assert presented(Headers(raw=raw)) == found


def test_a_key_is_right_as_a_whole_only() -> None:
    keys = ApiKeys(["secret", "sch\u00f6n"])
    assert keys.holder([b"secret"]) not in (None, keys.holder(["sch\u00f6n".encode()]))
    assert keys.holder([b"wrong", b"secret"]) == keys.holder([b"secret"])
    for wrong in (b"", b"secre", b"secrets", b"SECRET", b"sch\xf6n", b"\xff"):
        assert keys.holder([wrong]) is None
    assert "secret" not in str(keys.holder([b"secret"]))
    assert not ApiKeys(["", ""])
    assert ApiKeys([""]).holder([b""]) is None


# --- requests a minute -----------------------------------------------------------------------------------------------


def test_each_key_has_a_limit_of_its_own_and_is_told_of_it() -> None:
    behind = Behind("one", "two", per_minute=2)
    remaining = [behind.ask("/caption", X_API_Key="one").headers["x-ratelimit-remaining"] for _ in range(2)]
    assert remaining == ["1", "0"]
    read = behind.read
    refused = behind.ask("/v1/chat/completions", Authorization="Bearer one")
    assert error(refused)[:2] == (429, "rate_limited")
    assert (refused.headers["x-ratelimit-limit"], refused.headers["x-ratelimit-remaining"]) == ("2", "0")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert behind.read == read
    assert behind.ask("/caption", X_API_Key="two").status_code == 200


def test_only_what_is_asked_of_models_counts() -> None:
    behind = Behind("one", metrics="m", per_minute=1)
    for path, method, key in (
        ("/", "GET", ""),
        ("/health", "GET", "one"),
        ("/v1/models", "GET", "one"),
        ("/metrics", "GET", "m"),
        ("/api/admin/cache", "POST", "admin"),
    ):
        for _ in range(3):
            answer = behind.ask(path, method, X_API_Key=key)
            assert answer.status_code == 200
            assert "x-ratelimit-limit" not in answer.headers
    for _ in range(3):
        assert behind.ask("/caption", X_API_Key="wrong").status_code == 403
    assert behind.ask("/caption", X_API_Key="one").status_code == 200


def test_without_keys_an_address_has_the_limit() -> None:
    async def main() -> None:
        behind = Behind(per_minute=1)
        for number, (caller, status) in enumerate(
            [
                ("10.0.0.1", 200),
                ("10.0.0.1", 429),
                ("10.0.0.2", 200),
                ("::ffff:10.0.0.3", 200),
                ("::ffff:10.0.0.4", 200),
                ("2001:db8::1", 200),
                ("2001:db8::ffff:2", 429),  # the same machine, as far as anybody can tell
                ("2001:db8:0:1::1", 200),
                ("", 200),
            ]
        ):
            assert (await behind.send("/caption", caller=caller)).status_code == status, number

    run(main())
