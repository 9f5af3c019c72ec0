"""Addresses with too many slashes are those without, for keys, limits and the log too; HEAD is GET without a body."""

from __future__ import annotations

import logging

import httpx
import pytest

from looksee.http.dialects.pages import OPEN
from looksee.http.edge.route_table import normalized
from tests.http.app import Doors, error
from tests.http.edge.access.test_auth import Behind
from tests.http.edge.test_middleware import App, door, get
from tests.support.loops import run


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/", "/"),
        ("//", "/"),
        ("///", "/"),
        ("", "/"),
        ("//v1/models", "/v1/models"),
        ("/v1/models/", "/v1/models"),
        ("/v1/models//", "/v1/models"),
        ("//v1//chat///completions//", "/v1/chat/completions"),
        ("/upload//caption", "/upload/caption"),
        ("/a/./b", "/a/./b"),
        ("/metrics\n", "/metrics\ufffd"),
        ("/a\r\nb\x00\u2028", "/a\ufffd\ufffdb\ufffd\ufffd"),
        ("/\u00e9 \u4f60", "/\u00e9 \u4f60"),
    ],
)
def test_slashes_too_many_are_none(written: str, meant: str) -> None:
    assert normalized(written) == meant


@pytest.mark.parametrize(
    "path", ["//plain", "/plain/", "//plain//", "/item//5", "/item/5/", "//raw//success-without-headers"]
)
def test_an_address_with_more_slashes_reaches_the_app(path: str) -> None:
    app = App()
    assert get(f"http://looksee{path}", app=app).is_success
    assert app.reached == [normalized(path)]


DOUBLED = ["//caption", "/caption/", "//caption//", "//api/caption-images", "/v1//chat/completions/", "/v1/models/"]


@pytest.mark.parametrize("path", DOUBLED)
def test_slashes_are_no_way_around_a_key(path: str) -> None:
    behind = Behind("one")
    assert error(behind.ask(path))[:2] == (401, "missing_key")
    assert error(behind.ask(path, X_API_Key="two"))[:2] == (403, "wrong_key")
    assert behind.reached == []
    assert behind.ask(path, X_API_Key="one").status_code == 200
    assert behind.reached == [normalized(path)]


@pytest.mark.parametrize("path", ["//metrics", "/metrics/", "//metrics//"])
def test_slashes_are_no_way_around_the_key_of_metrics(path: str) -> None:
    behind = Behind("one", metrics="two")
    assert error(behind.ask(path, "GET", X_API_Key="one"))[:2] == (403, "wrong_key")
    assert behind.ask(path, "HEAD").status_code == 401
    assert behind.reached == []


@pytest.mark.parametrize(
    "path", ["//api/admin/cache", "/api//admin/cache", "/api/admin//cache/", "//api//admin//cache"]
)
def test_slashes_are_no_way_around_the_admin_key(path: str) -> None:
    async def main() -> tuple[int, str, str | None]:
        transport = httpx.ASGITransport(door(Doors(api_key="admin").app))
        async with httpx.AsyncClient(transport=transport) as client:
            return error(await client.get(f"http://looksee{path}"))

    assert run(main()) == (401, "missing_key", "X-API-Key")


def test_slashes_are_no_way_around_the_limit_of_requests() -> None:
    behind = Behind("one", per_minute=2)
    statuses = [behind.ask(path, X_API_Key="one").status_code for path in ("/caption", "//caption", "/caption/")]
    assert statuses == [200, 200, 429]


def test_open_addresses_stay_open_with_more_slashes() -> None:
    for path in sorted(OPEN):
        assert Behind("one").ask(f"/{path}/", "GET").status_code == 200, path


def test_the_log_has_the_address_without_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="looksee.access"):
        get("http://looksee//plain//")
    assert "GET /plain 200" in caplog.text
    assert "//" not in caplog.text


# --- HEAD ------------------------------------------------------------------------------------------------------------


def apart_from_id(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


@pytest.mark.parametrize("path", ["/plain", "/item/5", "/stream", "/id", "/text/503", "/json/400", "/ours", "/nowhere"])
def test_head_is_get_without_a_body(path: str) -> None:
    got, head = get(path), get(path, method="HEAD")
    assert (head.status_code, head.content) == (got.status_code, b"")
    if path != "/nowhere" and got.is_success:
        assert apart_from_id(head) == apart_from_id(got)
    assert head.headers["x-request-id"]


def test_every_page_and_document_that_has_get_has_head() -> None:
    async def main() -> None:
        transport = httpx.ASGITransport(door(Doors().app))
        async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
            paths = OPEN - {"/openapi.json", "/schema.json"}  # which the whole gateway adds
            for path in sorted({*paths, "/v1/models", "/v1/models/blip"}):
                got, head = await client.get(path), await client.head(path)
                assert (got.status_code, head.status_code, head.content) == (200, 200, b""), path
                assert apart_from_id(head) == apart_from_id(got)
                assert int(head.headers["content-length"]) == len(got.content) > 0

    run(main())


def test_head_is_refused_where_there_is_no_get() -> None:
    answer = get("/echo", method="HEAD")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


def test_head_needs_the_key_of_get() -> None:
    behind = Behind("one")
    assert behind.ask("/v1/models", "HEAD").status_code == 401
    assert behind.reached == []
    assert behind.ask("/v1/models", "HEAD", X_API_Key="one").status_code == 200


def test_the_log_says_head(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="looksee.access"):
        get("/plain", method="HEAD")
    assert "HEAD /plain 200" in caplog.text
    assert "out=0" in caplog.text
