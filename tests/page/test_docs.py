"""The documents' page: what a stranger tries out first, with nothing changed that it fills in."""

from __future__ import annotations

import base64
import json
import re

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from looksee.http import examples
from tests.support.serving import Service

DATA = base64.b64decode(examples.PICTURE.partition(",")[2])


@pytest.mark.parametrize(
    ("path", "member", "said"),
    [
        ("/upload/caption", "caption", "a red square"),
        ("/upload/query", "answer", "red"),
        ("/upload/detect", "count", 1),
        ("/caption", "caption", "a red square"),
    ],
)
def test_what_is_tried_out_as_it_stands_is_right(path: str, member: str, said: object, page: Page) -> None:
    page.goto("/docs")
    exactly = re.compile(f"^{re.escape(path)}$")
    operation = page.locator(".opblock").filter(has=page.locator(f'[data-path="{path}"]').filter(has_text=exactly))
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    if path.startswith("/upload"):
        picture: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": DATA}
        operation.locator("input[type=file]").set_input_files([picture])
    with page.expect_response(lambda response: path in response.url) as answered:
        operation.get_by_role("button", name="Execute").click()
    assert answered.value.status == 200
    assert json.loads(answered.value.text())[member] == said


@pytest.mark.parametrize(("path", "shown"), [("/docs", ".opblock"), ("/redoc", "h1")])
def test_a_page_of_documents_does_nothing_that_its_policy_forbids(path: str, shown: str, page: Page) -> None:
    """The fixture looks at what the browser says of it."""
    page.goto(path)
    expect(page.locator(shown).first).to_be_visible()
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_what_is_put_into_a_page_is_not_run(path: str, browser: Browser, service: Service) -> None:
    context = browser.new_context(base_url=service.url)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    answer = page.goto(path)
    assert answer is not None
    assert "unsafe" not in answer.headers["content-security-policy"]
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.wasRun = true";
            const outside = document.createElement("img");
            outside.src = "http://127.0.0.1:9/elsewhere.png";
            document.body.append(script, outside);
        }"""
    )
    assert page.evaluate("window.wasRun") is None
    page.wait_for_timeout(0)
    violations = " ".join(text for text in said if "Content Security Policy" in text)
    assert "script-src" in violations
    assert "img-src" in violations
    context.close()
