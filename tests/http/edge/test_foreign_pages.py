"""What a page of another origin can have a browser send without asking: nothing of it does any work."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.foreign_pages import ForeignPages
from looksee.http.edge.middleware import EdgeMiddleware
from tests.http.app import error
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


def ask(method: str, path: str, headers: dict[str, str], *origins: str) -> httpx.Response:
    async def fine(_: Request) -> Response:
        return PlainTextResponse("fine")

    app = Starlette(routes=[Route(one, fine, methods=["GET", "POST", "DELETE"]) for one in PATHS])
    access = AccessControl(ApiKeys([]), ApiKeys([]))
    edge = EdgeMiddleware(app, access, ROUTES, max_body=1000, timeout=5, longest=5, pages=ForeignPages(origins))

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://looksee") as client:
            return await client.request(method, path, headers=headers)

    return run(main())


@pytest.mark.parametrize("path", [*WORK, *ADMIN])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_page_has_no_work_done(kind: str, path: str) -> None:
    assert error(ask("POST", path, FOREIGN[kind])) == (403, "foreign_origin", "Origin")


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


def test_a_named_origin_passes_and_another_does_not() -> None:
    assert ask("POST", "/caption", {**CROSS, "Origin": OURS}, OURS).text == "fine"
    assert ask("POST", "/caption", {"Origin": OURS}, OURS).text == "fine"
    assert ask("POST", "/caption", {**CROSS, "Origin": THEIRS}, OURS).status_code == 403
    assert ask("POST", "/caption", CROSS, OURS).status_code == 403  # which page it is, is not told
    assert ask("POST", "/caption", {**CROSS, "Origin": THEIRS}, "*").text == "fine"
