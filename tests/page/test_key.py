"""The page of a service that asks its clients for a key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browsing import card_of, drop, model_of
from tests.support.pictures import scene
from tests.support.serving import CLIENT_KEY, Service


@pytest.fixture
def page(browser: Browser, keyed: Service) -> Iterator[Page]:
    context = browser.new_context(base_url=keyed.url)
    page = context.new_page()
    page.goto("/")
    yield page
    context.close()


def enter(page: Page, key: str) -> None:
    dialog = page.get_by_role("dialog", name="This service asks for a key")
    dialog.get_by_label("Key").fill(key)
    dialog.get_by_role("button", name="Use this key").click()


def test_the_key_is_asked_for_until_it_is_right_and_then_no_more(page: Page) -> None:
    enter(page, "wrong")
    enter(page, CLIENT_KEY)
    expect(page.get_by_role("dialog")).to_have_count(0)
    data, caption = scene("page-key")
    drop(page, ("a.png", data), ("b.png", data))
    expect(card_of(page, "a.png")).to_contain_text(caption)
    page.reload()
    expect(model_of(page, "blip")).to_be_attached()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_who_has_no_key_is_asked_again_only_for_what_they_do(page: Page) -> None:
    dialog = page.get_by_role("dialog", name="This service asks for a key")
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_have_count(0)
    drop(page, ("a.png", scene("page-key")[0]))
    dialog.get_by_role("button", name="Not now").click()
    expect(card_of(page, "a.png")).to_contain_text("Send a key of this service")
