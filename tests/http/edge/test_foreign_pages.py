"""What a page of another origin can have a browser send without asking: nothing of it does any work."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from looksee.core import errors
from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.foreign_pages import ForeignPages
from looksee.http.edge.middleware import EdgeMiddleware
from tests.http.app import Doors, error
from tests.support.loops import run

OURS, THEIRS = "https://app.example", "https://evil.example"
WORK = ("/caption", "/v1/caption", "/v1/batch", "/upload/caption", "/api/caption-images", "/v1/chat/completions")
ADMIN = ("/api/admin/reset-cache", "/api/admin/models/blip/load")
PATHS = (*WORK, *ADMIN, "/api/admin/models", "/v1/models", "/")

CROSS = {"Sec-Fetch-Site": "cross-site"}
FOREIGN = {
    "a form": {**CROSS, "Origin": THEIRS, "Content-Type": "multipart/form-data; boundary=x"},
    "no-cors": {**CROSS, "Sec-Fetch-Mode": "no-cors", "Content-Type": "text/plain"},
    "a neighbour": {"Sec-Fetch-Site": "same-site", "Origin": "https://neighbour.example"},
    "an unknown site": {"Sec-Fetch-Site": "of-next-year"},
    "an old browser": {"Origin": THEIRS},
    "plain http": {"Origin": "http://looksee:8080"},
    "a sandbox": {**CROSS, "Origin": "null"},
    "no origin": {"Origin": ""},
    "a name that begins alike": {"Origin": "https://looksee.evil.example"},
    "a name behind a user": {"Origin": "https://looksee@evil.example"},
}
OWN = {
    "a program": {},
    "the page": {"Sec-Fetch-Site": "same-origin", "Origin": "http://looksee"},
    "the address bar": {"Sec-Fetch-Site": "none"},
    "the page, plain http": {"Origin": "http://looksee"},
    "the page behind TLS": {"Origin": "https://LOOKSEE"},
    "the page behind a proxy": {"Origin": "https://pictures.example", "X-Forwarded-Host": "pictures.example, inner"},
}


def made(*origins: str) -> EdgeMiddleware:
    """The edge before a route for each path."""

    async def fine(_: Request) -> Response:
        return PlainTextResponse("fine")

    app = Starlette(routes=[Route(one, fine, methods=["GET", "POST", "DELETE"]) for one in PATHS])
    access = AccessControl(ApiKeys([]), ApiKeys([]))
    return EdgeMiddleware(app, access, ROUTES, max_body=1000, timeout=5, longest=5, pages=ForeignPages(origins))


def ask(method: str, path: str, headers: dict[str, str], *origins: str) -> httpx.Response:
    edge = made(*origins)

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://looksee") as client:
            return await client.request(method, path, headers=headers)

    return run(main())


@pytest.mark.parametrize("path", [*WORK, *ADMIN])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_page_has_no_work_done(kind: str, path: str) -> None:
    assert error(ask("POST", path, FOREIGN[kind])) == (403, "foreign_origin", "Origin")


def test_no_route_that_works_or_administers_is_left_out() -> None:
    """The real app's, as they are found in it."""
    app = Doors().app
    edge = EdgeMiddleware(app, AccessControl(ApiKeys([]), ApiKeys([])), ROUTES, max_body=1000, timeout=5, longest=5)
    found = [
        (method.upper(), path.replace("{name}", "blip"))
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if method != "get" or path.startswith("/api/admin/")
    ]
    assert len(found) > 20

    async def main() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://looksee") as client:
            return [(await client.request(method, path, headers=CROSS)).status_code for method, path in found]

    answers = run(main())
    assert {one: status for one, status in zip(found, answers, strict=True) if status != 403} == {}


def test_a_foreign_page_does_not_even_read_what_only_operators_may() -> None:
    assert error(ask("GET", "/api/admin/models", CROSS)) == (403, "foreign_origin", "Origin")
    assert error(ask("DELETE", "/v1/models", CROSS)) == (403, "foreign_origin", "Origin")


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("path", [*WORK, *ADMIN])
def test_programs_and_the_own_page_pass(kind: str, path: str) -> None:
    assert ask("POST", path, OWN[kind]).text == "fine"


@pytest.mark.parametrize("path", ["/", "/v1/models"])
def test_what_only_reads_is_for_links_from_anywhere(path: str) -> None:
    assert ask("GET", path, CROSS).text == "fine"


REBOUND = "http://evil.example:3000"
LOCAL = ("127.0.0.1", 3000)


def rebound(origin: str, reached: tuple[str, int | None] | None, *origins: str) -> bool:
    """Whether a page of the same origin as what it asks is refused, at the address that it came to."""
    headers = Headers({"Origin": origin, "Host": origin.partition("://")[2]})
    try:
        ForeignPages(origins).check(headers, reached)
    except errors.ForeignOrigin:
        return True
    return False


@pytest.mark.parametrize("reached", [LOCAL, ("::1", 3000), ("127.3.2.1", 80), ("::ffff:127.0.0.1", 3000)])
def test_a_name_that_was_led_here_is_not_the_own_page(reached: tuple[str, int]) -> None:
    assert rebound(REBOUND, reached)
    assert rebound("http://evil.example.", reached)
    assert rebound("http://localhost.evil.example:3000", reached)
    with pytest.raises(errors.ForeignOrigin, match="LOOKSEE_ALLOWED_ORIGINS"):
        ForeignPages().check(Headers({"Sec-Fetch-Site": "same-origin", "Origin": REBOUND}), reached)


@pytest.mark.parametrize(
    "origin",
    [
        *("http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000", "http://192.168.0.5:3000"),
        *("http://pictures", "http://pictures:3000", "http://nas.local:3000", "http://looksee.localhost:3000"),
        *("http://host.docker.internal:3000", "https://pictures.example.org"),  # TLS: a proxy with a certificate
    ],
)
def test_names_that_nobody_can_lead_here_pass(origin: str) -> None:
    assert not rebound(origin, LOCAL)


def test_a_name_over_a_network_or_among_the_origins_passes() -> None:
    assert not rebound(REBOUND, ("172.17.0.2", 3000))  # a container
    assert not rebound(REBOUND, ("/run/looksee.sock", None))
    assert not rebound(REBOUND, None)
    assert not rebound(REBOUND, LOCAL, REBOUND)
    assert not rebound(REBOUND, LOCAL, "*")


def test_the_edge_says_where_a_request_came_to() -> None:
    async def main() -> int:
        sent: list[Any] = []
        edge = made()
        scope = {"type": "http", "method": "POST", "path": "/caption", "query_string": b"", "server": LOCAL}
        scope["headers"] = [(b"host", b"evil.example:3000"), (b"origin", b"http://evil.example:3000")]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await edge(scope, receive, send)
        return int(sent[0]["status"])

    assert run(main()) == 403


def test_a_named_origin_passes_and_another_does_not() -> None:
    assert ask("POST", "/caption", {**CROSS, "Origin": OURS}, OURS).text == "fine"
    assert ask("POST", "/caption", {"Origin": OURS}, OURS).text == "fine"
    assert ask("POST", "/caption", {**CROSS, "Origin": THEIRS}, OURS).status_code == 403
    assert ask("POST", "/caption", CROSS, OURS).status_code == 403  # which page it is, is not told
    assert ask("POST", "/caption", {**CROSS, "Origin": THEIRS}, "*").text == "fine"
