"""Pages in a real browser: the own one has work done by whatever name it is reached, another one has not."""

from __future__ import annotations

from collections.abc import Iterator

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


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """A page of `evil.test`, which the test's driver serves."""
    context = browser.new_context()
    page = context.new_page()
    page.route("http://evil.test/**", lambda route: route.fulfill(body="<body>", content_type="text/html"))
    page.goto("http://evil.test/")
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
    assert answered.value.headers["content-type"] == "application/json"


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
