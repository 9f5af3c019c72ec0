"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.serving import Service, serve

# Where the suite runs in the background this signal is ignored, and would be by the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The real service with sample weights and a real Redis, shared by all tests that leave it as it was."""
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one module: while Playwright's own event loop lives, no other test could run one."""
    from playwright.sync_api import expect, sync_playwright

    from tests.support.browsing import PATIENCE_MS, SWITCHES

    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium on this machine")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """The page, open. Fails the test if a script of the page raised anything."""
    context = browser.new_context(base_url=service.url)
    page = context.new_page()
    raised: list[str] = []
    page.on("pageerror", lambda error: raised.append(str(error)))
    page.goto("/")
    yield page
    context.close()
    assert raised == []
