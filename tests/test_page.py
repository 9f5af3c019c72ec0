"""The bundled page in a real browser, against the real service."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, FilePayload, Locator, Page, Route, expect, sync_playwright

from tests.pictures import TEXT, scene
from tests.serving import Service

_SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MS = 60_000  # the first caption waits for the weights
_ASK = "**/api/caption-images*"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # For this module alone: while Playwright's own event loop lives, no other test could run one.
    path = shutil.which("chromium")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium on this machine")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_SWITCHES)
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


def _file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": content}


def _transfer(page: Page, event: str, carrier: str, *files: tuple[str, bytes]) -> None:
    """Dispatch a drop or paste of `files` on the page's body, as the browser itself does it."""
    page.evaluate(
        """([event, kind, carrier, files]) => {
            const transfer = new DataTransfer();
            for (const [name, content] of files) {
                const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: "image/png" }));
            }
            const Kind = window[kind];
            document.body.dispatchEvent(
                new Kind(event, { bubbles: true, cancelable: true, [carrier]: transfer })
            );
        }""",
        [
            event,
            "DragEvent" if event == "drop" else "ClipboardEvent",
            carrier,
            [[name, base64.b64encode(content).decode()] for name, content in files],
        ],
    )


def _drop(page: Page, *files: tuple[str, bytes]) -> None:
    _transfer(page, "drop", "dataTransfer", *files)


def _choose(page: Page, *files: tuple[str, bytes]) -> None:
    page.locator("#files").set_input_files([_file(name, content) for name, content in files])


def _card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


def _expected_tags(caption: str) -> list[str]:
    """Of a scene with one thing: `a red circle` has the tags red, circle and red circle."""
    _, colour, shape = caption.split()
    return [colour, shape, f"{colour} {shape}"]


def test_dropped_pictures_get_captions_and_tags(page: Page) -> None:
    pictures = {f"{seed}.png": scene(f"page dropped {seed}") for seed in ("one", "two")}
    _drop(page, *((name, content) for name, (content, _) in pictures.items()))
    for name, (_, caption) in pictures.items():
        card = _card(page, name)
        expect(card.locator(".caption")).to_have_text(caption)
        expect(card.get_by_role("listitem")).to_have_text(_expected_tags(caption))
        expect(card.locator(".cached")).to_be_hidden()
        expect(card.locator(".seconds")).to_contain_text("s")
    expect(page.locator("#live")).to_have_text("2 captions")
    expect(page.locator("#sample-weights")).to_be_visible()
    expect(page.locator("#model option")).to_have_text("blip (ready)")


def test_asking_again_is_answered_from_the_cache(page: Page) -> None:
    content, caption = scene("page again")
    _choose(page, ("again.png", content))
    card = _card(page, "again.png")
    expect(card.locator(".caption")).to_have_text(caption)
    page.get_by_role("button", name="Ask again").click()
    expect(card.get_by_text("from cache")).to_be_visible()
    expect(card.locator(".caption")).to_have_text(caption)
    expect(page.locator("#line")).to_have_text("1 caption, 1 from cache")


def test_a_new_prompt_is_asked_with_enter(page: Page) -> None:
    content, caption = scene("page prompt")
    _choose(page, ("prompt.png", content))
    card = _card(page, "prompt.png")
    expect(card.locator(".caption")).to_have_text(caption)
    page.get_by_label("Caption prompt").fill("a photo of")
    expect(page.locator("#again")).to_contain_class("due")
    page.get_by_label("Caption prompt").press("Enter")
    expect(card.locator(".caption")).to_have_text(f"a photo of {caption}")
    expect(page.locator("#again")).not_to_contain_class("due")


def test_a_pasted_picture_is_captioned(page: Page) -> None:
    content, caption = scene("page pasted")
    _transfer(page, "paste", "clipboardData", ("image.png", content))
    expect(_card(page, "pasted-1.png").locator(".caption")).to_have_text(caption)


def test_the_sample_picture_is_captioned(page: Page) -> None:
    page.get_by_role("button", name="Try a sample picture").click()
    expect(_card(page, "sample.png")).to_have_attribute("aria-busy", "false")
    expect(_card(page, "sample.png").locator(".caption")).to_contain_text("a ")
    expect(page.locator("img[src='/ui/sample.png'], .blank")).to_have_count(0)


def test_a_text_file_fails_alone(page: Page) -> None:
    content, caption = scene("page neighbour")
    _drop(page, ("notes.jpg", TEXT), ("neighbour.png", content))
    expect(_card(page, "neighbour.png").locator(".caption")).to_have_text(caption)
    failed = _card(page, "notes.jpg")
    expect(failed.locator(".message")).to_have_text("The file is not a JPEG, PNG or WebP picture.")
    expect(failed.locator(".code")).to_have_text("unsupported_image_type")
    expect(failed.get_by_role("button", name="Try notes.jpg again")).to_be_visible()
    expect(page.locator("#line")).to_have_text("1 caption, 1 failed")


def test_a_busy_service_is_asked_again(page: Page) -> None:
    def busy(route: Route) -> None:
        error = {"code": "overloaded", "message": "Too many are waiting.", "param": None, "request_id": "1"}
        route.fulfill(status=429, headers={"Retry-After": "1"}, json={"detail": error["message"], "error": error})

    content, caption = scene("page busy")
    page.route(_ASK, busy, times=1)
    _choose(page, ("busy.png", content))
    card = _card(page, "busy.png")
    expect(card.get_by_text("Trying again in 1 s")).to_be_visible()
    expect(card.locator(".message")).to_have_text("Too many are waiting.")
    expect(card.locator(".caption")).to_have_text(caption)
    expect(card.locator(".problem")).to_be_hidden()


def test_a_lost_network_is_told_and_failed_pictures_are_retried(page: Page) -> None:
    content, caption = scene("page offline")
    page.context.set_offline(True)
    _choose(page, ("offline.png", content))
    card = _card(page, "offline.png")
    expect(card.locator(".code")).to_have_text("network")
    expect(page.get_by_role("alert")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Retry 1 failed").click()
    expect(card.locator(".caption")).to_have_text(caption)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_few_pictures_are_asked_about_at_a_time(page: Page) -> None:
    page.route(_ASK, lambda route: None)  # never answered
    _choose(page, *((f"{number}.png", scene(f"page queue {number}")[0]) for number in range(6)))
    expect(page.locator(".card[data-state=working]")).to_have_count(4)
    expect(page.locator(".card[data-state=waiting]")).to_have_count(2)
    expect(page.get_by_role("progressbar", name="Pictures done")).to_be_visible()
    page.get_by_role("button", name="Remove 0.png", exact=True).click()
    expect(page.locator(".card[data-state=working]")).to_have_count(4)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.get_by_role("heading", name="What is in your pictures?")).to_be_visible()
    page.unroute_all(behavior="ignoreErrors")


def test_results_are_saved_as_json_and_csv(page: Page) -> None:
    content, caption = scene("page saved")
    name = '=cmd("x").png'
    _choose(page, (name, content), ("notes.png", TEXT))
    expect(page.locator("#line")).to_have_text("1 caption, 1 failed")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download results as JSON").click()
    good, bad = json.loads(Path(download.value.path()).read_text())
    assert (good["filename"], good["caption"], good["model"]) == (name, caption, "blip")
    assert bad["error"]["code"] == "unsupported_image_type"
    with page.expect_download() as download:
        page.get_by_role("button", name="Download results as CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    good, bad = csv.DictReader(io.StringIO(text))
    # The quote in front keeps a spreadsheet from running the name as a formula.
    assert (good["filename"], good["caption"]) == ("'" + name, caption)
    assert (bad["filename"], bad["error_code"]) == ("notes.png", "unsupported_image_type")


def test_a_hostile_name_is_only_text(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    content, caption = scene("page hostile")
    dialogs: list[Dialog] = []

    def refuse(dialog: Dialog) -> None:
        dialogs.append(dialog)
        dialog.dismiss()

    page.on("dialog", refuse)
    _drop(page, (name, content))
    card = _card(page, name)
    expect(card.locator(".caption")).to_have_text(caption)
    expect(card.locator(".name")).to_have_text(name)
    expect(card.locator("img")).to_have_count(1)
    assert dialogs == []


def test_object_urls_are_given_back(browser: Browser, service: Service) -> None:
    context = browser.new_context(base_url=service.url)
    page = context.new_page()
    page.add_init_script(
        """window.living = new Set();
        const { createObjectURL, revokeObjectURL } = URL;
        URL.createObjectURL = (it) => { const url = createObjectURL(it); living.add(url); return url; };
        URL.revokeObjectURL = (url) => { living.delete(url); revokeObjectURL(url); };"""
    )
    page.goto("/")
    _choose(page, ("good.png", scene("page urls")[0]), ("bad.png", TEXT))
    expect(page.locator("#line")).to_have_text("1 caption, 1 failed")
    expect(page.locator(".blank")).to_have_count(1)
    assert page.evaluate("living.size") == 0
    context.close()


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_nothing_leaves_the_origin(browser: Browser, service: Service, path: str) -> None:
    context = browser.new_context(base_url=service.url)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path)
    if path == "/":
        _choose(page, ("origin.png", scene("page origin")[0]))
        expect(page.locator("#line")).to_contain_text("1 caption")
    else:
        expect(page.get_by_text("/api/caption-images").first).to_be_visible()
    page.wait_for_load_state("networkidle" if path != "/" else "load")
    context.close()
    # blob: and data: are the page's own memory.
    hosts = {parts.netloc for parts in map(urlsplit, asked) if parts.scheme not in ("blob", "data")}
    assert hosts == {urlsplit(service.url).netloc}
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(page: Page, scheme: str) -> None:
    def overhang() -> object:
        return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 640})
    assert overhang() == 0
    _choose(page, (f"{'long' * 40}.png", scene("page phone")[0]), ("notes.png", TEXT))
    expect(page.locator("#line")).to_contain_text("1 failed")
    assert overhang() == 0
