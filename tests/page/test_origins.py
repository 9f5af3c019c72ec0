"""Pages in a real browser: the own one has work done by whatever name it is reached, another one has not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.support.serving import Service

# What a page may send without asking first. The answer cannot be read; the browser's driver sees its status.
SIMPLE = """async ([url, kind]) => {
    const body = kind === "form" ? new URLSearchParams({ image: "x" }) : "{}";
    await fetch(url, { method: "POST", mode: "no-cors", body });
}"""
OWN = """async (path) => (await fetch(path, { method: "POST", body: "{}" })).status"""
FORM = """([url]) => {
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: url, enctype: "text/plain" });
    document.body.append(form);
    form.submit();
}"""


class _Blank(BaseHTTPRequestHandler):
    """An empty page at every address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><body>")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """A page of `evil.test`, from a server of its own: a browser lets no page of the internet reach this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://evil.test:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser, elsewhere: str) -> Iterator[Page]:
    """That page, open."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(elsewhere)
    yield page
    context.close()


def port(service: Service) -> int:
    return httpx.URL(service.url).port or 80


@pytest.mark.parametrize("host", ["127.0.0.1", "looksee.test"])  # with Sec-Fetch-Site, and over plain http without
@pytest.mark.parametrize("kind", ["text", "form"])
@pytest.mark.parametrize("path", ["/caption", "/v1/batch", "/api/admin/reset-cache"])
def test_a_foreign_page_is_refused(path: str, kind: str, host: str, page: Page, service: Service) -> None:
    url = f"http://{host}:{port(service)}{path}"
    with page.expect_response(url) as answered:
        page.evaluate(SIMPLE, [url, kind])
    assert answered.value.status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "looksee.test"])
def test_a_foreign_form_is_refused(host: str, page: Page, service: Service) -> None:
    url = f"http://{host}:{port(service)}/caption"
    with page.expect_response(url) as answered:
        page.evaluate(FORM, [url])
    assert answered.value.status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "looksee.test"])
def test_the_own_page_has_its_work_done(host: str, page: Page, service: Service) -> None:
    page.goto(f"http://{host}:{port(service)}/")
    assert page.evaluate(OWN, "/caption") == 422  # it was read, and has no picture


def test_a_page_whose_name_was_led_here_is_refused(page: Page, service: Service) -> None:
    """It was loaded from this very service, so the browser takes it for the own page."""
    page.goto(f"http://evil.example:{port(service)}/")
    assert page.evaluate(OWN, "/caption") == 403
