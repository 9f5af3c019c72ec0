"""The documents' page: what a stranger tries out first, with nothing changed that it fills in."""

from __future__ import annotations

import base64
import json
import re

import pytest
from playwright.sync_api import FilePayload, Page

from looksee.http import examples

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
