"""What browsers are told of pages and of all other answers."""

from __future__ import annotations

import base64
import hashlib

import httpx
import pytest

from looksee.http import page_policy
from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from tests.http.app import Doors
from tests.support.loops import run


def get(path: str) -> httpx.Response:
    access = AccessControl(ApiKeys([]), ApiKeys([]))
    app = EdgeMiddleware(Doors().app, access, ROUTES, max_body=1000, timeout=5, longest=5)

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://looksee") as client:
            return await client.get(path)

    return run(main())


def directives(answer: httpx.Response) -> dict[str, list[str]]:
    found = (one.split() for one in answer.headers["content-security-policy"].split(";"))
    return {name: sources for name, *sources in found}


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_a_page_loads_what_is_here_and_runs_what_it_came_with(path: str) -> None:
    answer = get(path)
    found = directives(answer)
    assert found["default-src"] == found["frame-ancestors"] == found["form-action"] == found["base-uri"] == ["'none'"]
    for name in ("script-src", "style-src"):
        assert found[name][0] == "'self'"
        assert all(source.startswith("'sha256-") for source in found[name][1:])
    assert found["connect-src"] == ["'self'"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


def test_an_inline_text_is_named_by_its_hash() -> None:
    inline = b"\n  go();\n"
    named = base64.b64encode(hashlib.sha256(inline).digest()).decode()
    found = page_policy.headers(b"<html><script src='x'></script><script>" + inline + b"</script>")
    assert f"script-src 'self' 'sha256-{named}';" in found["Content-Security-Policy"]
    assert "style-src 'self';" in found["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/ui/icon.svg", "/docs/swagger-ui-bundle.js", "/nowhere"])
def test_whatever_is_no_page_runs_nothing(path: str) -> None:
    answer = get(path)
    assert directives(answer) == {"default-src": ["'none'"], "frame-ancestors": ["'none'"]}
    assert answer.headers["x-content-type-options"] == "nosniff"
