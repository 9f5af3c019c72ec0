"""Pages of other origins: those that are set may ask, without a key in the browser's own question; others may not."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from looksee.http.edge.cors import behind_cors
from tests.http.app import content, error
from tests.http.edge.access.test_auth import MODEL_ROUTES, Behind
from tests.support.loops import run

OURS, THEIRS = "https://app.example", "https://evil.example"
ALLOWED = "access-control-allow-origin"


def ask(app: ASGIApp, method: str, path: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://looksee") as client:
            return await client.request(method, path, headers=named)

    return run(main())


def shared(*origins: str, **options: Any) -> ASGIApp:
    return behind_cors(Behind("one", origins=origins, **options).door, origins)


def preflight(app: ASGIApp, path: str, origin: str = OURS, method: str = "POST", **headers: str) -> httpx.Response:
    return ask(app, "OPTIONS", path, Origin=origin, Access_Control_Request_Method=method, **headers)


@pytest.mark.parametrize("path", [*MODEL_ROUTES, "/v1/models", "//v1/models", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_a_browser_asks_without_a_key(path: str, method: str) -> None:
    behind = Behind("one")
    answer = preflight(
        behind_cors(behind.door, [OURS]),
        path,
        method=method,
        Access_Control_Request_Headers="authorization, content-type, x-api-key, x-stainless-os",
    )
    assert (answer.status_code, answer.headers[ALLOWED]) == (200, OURS)
    assert method in answer.headers["access-control-allow-methods"]
    assert "x-stainless-os" in answer.headers["access-control-allow-headers"]
    assert "Origin" in answer.headers["vary"]
    assert behind.reached == []


@pytest.mark.parametrize(("headers", "status"), [({"X_API_Key": "one"}, 200), ({}, 401), ({"X_API_Key": "two"}, 403)])
def test_an_answer_and_an_error_name_the_origin(headers: dict[str, str], status: int) -> None:
    answer = ask(shared(OURS), "POST", "/caption", Origin=OURS, **headers)
    assert (answer.status_code, answer.headers[ALLOWED]) == (status, OURS)
    exposed = answer.headers["access-control-expose-headers"].lower()
    for name in ("x-request-id", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining"):
        assert name in exposed
    assert "access-control-allow-credentials" not in answer.headers


def test_every_kind_of_error_names_the_origin() -> None:
    app = shared(OURS, per_minute=1)
    key = {"X_API_Key": "one", "Origin": OURS}
    assert ask(app, "POST", "/caption", **key).status_code == 200
    answers = {
        429: ask(app, "POST", "/caption", **key),
        404: ask(app, "GET", "/nowhere", **key),
        413: ask(shared(OURS), "POST", "/caption", Content_Length="1000", **key),
        415: ask(shared(OURS), "POST", "/caption", Content_Encoding="br", **key),
        405: ask(app, "DELETE", "/v1/models", **key),
    }
    for status, answer in answers.items():
        assert (answer.status_code, answer.headers[ALLOWED]) == (status, OURS)
        assert answer.headers["x-request-id"] == content(answer)["error"]["request_id"]
    assert "retry-after" in answers[429].headers


@pytest.mark.parametrize("origin", [THEIRS, "http://app.example", "https://app.example:8443", "null", OURS + "/", ""])
def test_another_origin_is_not_named(origin: str) -> None:
    app = shared(OURS)
    answer = ask(app, "POST", "/caption", Origin=origin, X_API_Key="one")
    assert ALLOWED not in answer.headers
    assert answer.status_code == 403
    assert ALLOWED not in ask(app, "GET", "/v1/models", Origin=origin, X_API_Key="one").headers
    refused = preflight(app, "/caption", origin)
    assert ALLOWED not in refused.headers
    assert error(refused) == (400, "invalid_request", "Origin")
    assert "LOOKSEE_ALLOWED_ORIGINS" in content(refused)["detail"]
    assert refused.headers["content-length"] == str(len(refused.content))


def test_a_star_allows_any() -> None:
    app = shared("*")
    for origin in (OURS, THEIRS, "null", "chrome-extension://abc"):
        assert ask(app, "POST", "/caption", Origin=origin, X_API_Key="one").headers[ALLOWED] == "*"
        assert preflight(app, "/caption", origin).headers[ALLOWED] == "*"


def test_a_named_origin_may_reach_a_private_network() -> None:
    asked = {"Access_Control_Request_Private_Network": "true"}
    assert preflight(shared(OURS), "/caption", **asked).headers["access-control-allow-private-network"] == "true"
    assert preflight(shared("*"), "/caption", **asked).status_code == 400


def test_by_default_no_origin_is_named() -> None:
    behind = Behind("one")
    assert behind_cors(behind.door, []) is behind.door
    assert preflight(behind.door, "/caption").status_code in (401, 405)
    assert ALLOWED not in ask(behind.door, "POST", "/caption", Origin=OURS, X_API_Key="one").headers


def test_what_is_not_from_a_page_passes_as_before() -> None:
    answer = ask(shared(OURS), "POST", "/caption", X_API_Key="one")
    assert (answer.status_code, answer.text) == (200, "fine")
    assert "Origin" in answer.headers["vary"]
