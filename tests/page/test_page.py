"""The bundled page in a real browser, against the real service."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from tests.support.browsing import (
    able,
    answered,
    card_of,
    choose,
    drop,
    mode_of,
    model_of,
    press_run,
    saved,
    tile_of,
    transfer,
)
from tests.support.pictures import TEXT, scene
from tests.support.serving import Service

_ASK = "**/api/caption-images*"
SAMPLE = "a red circle, a blue square and a green triangle"  # what ui/sample.png shows


def _states(**changed: str) -> dict[str, object]:
    """What /health says when the models have these states; the others are not loaded."""
    models = dict.fromkeys(REGISTRY, "unloaded") | changed
    return {"status": "healthy", "models": models, "redis": "up", "version": "0", "environment": "test"}


def _expected_tags(caption: str) -> list[str]:
    """Of a scene with one thing: `a red circle` has the tags red, circle and red circle."""
    _, colour, shape = caption.split()
    return [colour, shape, f"{colour} {shape}"]


def test_dropped_pictures_get_captions_and_tags(page: Page) -> None:
    pictures = {f"{seed}.png": scene(f"page dropped {seed}") for seed in ("one", "two")}
    drop(page, *((name, content) for name, (content, _) in pictures.items()))
    for name, (_, caption) in pictures.items():
        card = card_of(page, name)
        expect(card.locator(".text")).to_have_text(caption)
        expect(card.get_by_role("listitem")).to_have_text(_expected_tags(caption))
        expect(card.locator(".cached")).to_be_hidden()
        expect(card.locator(".seconds")).to_contain_text("s")
    expect(page.locator("#live")).to_have_text("2 captions")
    expect(page.locator("#sample-weights")).to_be_visible()
    expect(model_of(page, "blip")).to_be_checked()
    expect(tile_of(page, "blip").locator(".word")).to_have_text("ready")
    expect(page.locator("#facts")).to_contain_text(
        "Sample weights: it knows drawn scenes of coloured shapes, nothing else"
    )
    expect(page.locator("#facts")).to_contain_text(
        "224 M parameters, 0.4 GB as bfloat16; licence: bsd\u20113\u2011clause"
    )


def test_asking_again_is_answered_from_the_cache(page: Page) -> None:
    content, caption = scene("page again")
    choose(page, ("again.png", content))
    card = card_of(page, "again.png")
    expect(card.locator(".text")).to_have_text(caption)
    page.get_by_role("button", name="Caption again").click()
    expect(card.get_by_text("cached")).to_be_visible()
    expect(card.locator(".text")).to_have_text(caption)
    expect(page.locator("#line")).to_have_text("1 caption, 1 from cache")


def test_a_new_prompt_is_asked_with_enter(page: Page) -> None:
    content, caption = scene("page prompt")
    choose(page, ("prompt.png", content))
    card = card_of(page, "prompt.png")
    expect(card.locator(".text")).to_have_text(caption)
    page.get_by_label("Caption prompt").fill("a photo of")
    expect(page.locator("#run")).to_contain_class("due")
    page.get_by_label("Caption prompt").press("Enter")
    expect(card.locator(".text")).to_have_text(f"a photo of {caption}")
    expect(page.locator("#run")).not_to_contain_class("due")


def test_a_pasted_picture_is_captioned(page: Page) -> None:
    content, caption = scene("page pasted")
    transfer(page, "paste", "clipboardData", ("image.png", content))
    expect(card_of(page, "pasted-1.png").locator(".text")).to_have_text(caption)


def test_the_sample_picture_is_captioned(page: Page) -> None:
    page.get_by_role("button", name="Try a sample picture").click()
    expect(card_of(page, "sample.png")).to_have_attribute("aria-busy", "false")
    expect(card_of(page, "sample.png").locator(".text")).to_have_text(SAMPLE)
    expect(page.locator("img[src='/ui/sample.png'], .blank")).to_have_count(0)


def test_a_text_file_fails_alone(page: Page) -> None:
    content, caption = scene("page neighbour")
    drop(page, ("notes.jpg", TEXT), ("neighbour.png", content))
    expect(card_of(page, "neighbour.png").locator(".text")).to_have_text(caption)
    failed = card_of(page, "notes.jpg")
    expect(failed.locator(".message")).to_contain_text("The file is not a picture. Accepted are JPEG, PNG")
    expect(failed.locator(".code")).to_have_text("unsupported_image_type")
    expect(failed.get_by_role("button", name="Try notes.jpg again")).to_be_visible()
    expect(page.locator("#line")).to_have_text("1 caption, 1 failed")


def test_a_busy_service_is_asked_again(page: Page) -> None:
    def busy(route: Route) -> None:
        error = {"code": "overloaded", "message": "Too many are waiting.", "param": None, "request_id": "1"}
        route.fulfill(status=429, headers={"Retry-After": "1"}, json={"detail": error["message"], "error": error})

    content, caption = scene("page busy")
    page.route(_ASK, busy, times=1)
    choose(page, ("busy.png", content))
    card = card_of(page, "busy.png")
    expect(card.get_by_text("Trying again in 1 s")).to_be_visible()
    expect(card.locator(".message")).to_have_text("Too many are waiting.")
    expect(card.locator(".text")).to_have_text(caption)
    expect(card.locator(".problem")).to_be_hidden()


def test_a_lost_network_is_told_and_failed_pictures_are_retried(page: Page) -> None:
    content, caption = scene("page offline")
    page.context.set_offline(True)
    choose(page, ("offline.png", content))
    card = card_of(page, "offline.png")
    expect(card.locator(".code")).to_have_text("network")
    expect(page.get_by_role("alert")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Retry 1 failed").click()
    expect(card.locator(".text")).to_have_text(caption)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_few_pictures_are_asked_about_at_a_time(page: Page) -> None:
    page.route(_ASK, lambda route: None)  # never answered
    choose(page, *((f"{number}.png", scene(f"page queue {number}")[0]) for number in range(6)))
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
    choose(page, (name, content), ("notes.png", TEXT))
    expect(page.locator("#line")).to_have_text("1 caption, 1 failed")
    good, bad = json.loads(saved(page, "JSON"))
    assert (good["filename"], good["caption"], good["model"]) == (name, caption, "blip")
    assert bad["error"]["code"] == "unsupported_image_type"
    text = saved(page, "CSV")
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
    drop(page, (name, content))
    card = card_of(page, name)
    expect(card.locator(".text")).to_have_text(caption)
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
    choose(page, ("good.png", scene("page urls")[0]), ("bad.png", TEXT))
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
        choose(page, ("origin.png", scene("page origin")[0]))
        expect(page.locator("#line")).to_contain_text("1 caption")
        answered(page, "/api/caption-collective-images", {"collective_caption": "together", "tags": []})
        answered(page, "/query", {"answer": "alone"})
        model_of(page, "gemma").check()
        mode_of(page, "One caption for all").check()
        press_run(page)
        expect(page.locator("#collective .text")).to_have_text("together")
        mode_of(page, "Ask").check()
        page.locator("#words").fill("What?")
        press_run(page)
        expect(page.locator(".thread .text")).to_have_text("alone")
        boxes = [{"label": "circle", "x_min": 0.2, "y_min": 0.2, "x_max": 0.8, "y_max": 0.8}]
        answered(page, "/detect", {"detections": boxes, "count": 1, "image": {"width": 100, "height": 100}})
        model_of(page, "moondream").check()
        mode_of(page, "Find boxes").check()
        page.locator("#words").fill("circle")
        press_run(page)
        with page.expect_download():  # it is drawn in the page: the page's own rules allow that
            page.get_by_role("button", name="Download as PNG").click()
        page.get_by_role("button", name="Code", exact=True).click()
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

    long = "Donaudampfschifffahrt" * 9
    both = {"cache": True, "model": "gemma", "revision": "0", "weights": "sample", "tags": [long, "red"]}
    flags = {"flagged": True, "flag_evaluated": True}
    answered(page, "/api/caption-collective-images", {"collective_caption": long, "count": 2, **both, **flags})
    answered(page, "/query", {"answer": long, **both})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 640})
    expect(model_of(page, "blip")).to_be_checked()
    assert overhang() == 0
    assert page.evaluate("document.querySelector('#choose').getBoundingClientRect().bottom < innerHeight")
    choose(page, (f"{'long' * 40}.png", scene("page phone")[0]), ("notes.png", TEXT))
    expect(page.locator("#line")).to_contain_text("1 failed")
    expect(page.locator("#results")).to_be_in_viewport()  # though it lies below the panel
    assert overhang() == 0
    model_of(page, "gemma").check()
    page.get_by_label("Flag question").fill(long)
    mode_of(page, "One caption for all").check()
    press_run(page)
    expect(page.locator("#collective .text")).to_have_text(long)
    expect(page.locator("#collective .verdict")).to_have_text("yes")
    assert overhang() == 0
    mode_of(page, "Ask").check()
    page.locator("#words").fill(long)
    press_run(page)
    expect(page.locator("#line")).to_have_text("2 answers, 2 from cache")
    assert overhang() == 0
    page.get_by_role("button", name="Code", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert overhang() == 0
    page.keyboard.press("Escape")
    box = {"label": long, "x_min": 0.5, "y_min": 0.5, "x_max": 1, "y_max": 1}
    answered(page, "/detect", {"detections": [box] * 3, "count": 3, "image": {"width": 90, "height": 100}, **both})
    model_of(page, "moondream").check()
    mode_of(page, "Find boxes").check()
    page.locator("#words").fill(long)
    press_run(page)
    expect(page.locator("#line")).to_have_text("6 boxes in 2 pictures, 2 from cache")
    assert overhang() == 0


def test_the_panel_fits_into_a_window_of_800_pixels(page: Page) -> None:
    """Whatever the model and the task are: a field below a fold inside of the panel is not found."""
    page.set_viewport_size({"width": 1280, "height": 800})
    drop(page, ("a.png", scene("page-fits")[0]), ("b.png", scene("page-fits")[0]))
    expect(card_of(page, "b.png")).to_contain_text(scene("page-fits")[1])
    hidden = page.evaluate(
        """() => [...document.querySelectorAll("input[name=model]")].flatMap((model) => {
            model.click();
            const kinds = [...document.querySelectorAll("input[name=kind]:enabled")];
            return kinds.flatMap((kind) => {
                kind.click();
                const { scrollHeight, clientHeight } = document.querySelector(".panel");
                return scrollHeight > clientHeight ? [[model.value, kind.value, scrollHeight - clientHeight]] : [];
            });
        })"""
    )
    assert hidden == []


def test_what_a_model_cannot_do_is_said_with_one_that_can(page: Page) -> None:
    answered(page, "/health", _states(blip="ready"))
    page.reload()
    expect(mode_of(page, "Caption each picture")).to_be_checked()
    reasons = "BLIP base sees one picture at a time, answers no questions and finds no places."
    expect(page.get_by_text(reasons)).to_be_visible()
    for title in ("One caption for all", "Ask", "Find boxes", "Point"):
        expect(mode_of(page, title)).to_be_disabled()
        expect(mode_of(page, title)).to_have_accessible_description(reasons)
    expect(page.get_by_label("Flag question")).to_be_disabled()
    page.locator(".choice[data-kind=ask]").get_by_role("button", name="Use InternVL3 1B").click()
    expect(model_of(page, "intern_vlm")).to_be_checked()
    expect(mode_of(page, "Ask")).to_be_checked()
    expect(mode_of(page, "Ask")).to_be_focused()
    page.reload()
    expect(mode_of(page, "Ask")).to_be_checked()  # the address has it
    model_of(page, "blip2").check()
    expect(mode_of(page, "Ask")).to_be_checked()
    expect(mode_of(page, "One caption for all")).to_be_disabled()
    model_of(page, "blip").check()
    expect(mode_of(page, "Caption each picture")).to_be_checked()
    expect(page.locator("#live")).to_have_text("BLIP base cannot do that; back to captions")
    answered(page, "/health", _states(blip="ready", gemma="ready"))
    page.reload()
    expect(page.get_by_role("button", name="Use Gemma 3 4B")).to_have_count(2)  # it is there already
    page.evaluate("location.hash = 'blip/ask'")
    expect(mode_of(page, "Caption each picture")).to_be_checked()
    page.evaluate("location.hash = 'intern_vlm/all'")
    expect(model_of(page, "intern_vlm")).to_be_checked()
    expect(mode_of(page, "One caption for all")).to_be_checked()


def test_a_slow_load_is_told_as_it_is(page: Page) -> None:
    held: list[Route] = []
    answered(page, "/health", _states(blip="ready"))
    page.reload()
    expect(tile_of(page, "gemma").locator(".word")).to_have_text("on first use")
    page.route(_ASK, lambda route: held.append(route))
    model_of(page, "gemma").check()
    choose(page, ("slow.png", scene("page slow")[0]))
    status = card_of(page, "slow.png").locator(".status")
    expect(status).to_contain_text("Loading Gemma 3 4B…")
    answered(page, "/health", _states(blip="ready", gemma="waiting"))
    expect(status).to_contain_text("Gemma 3 4B waits for its place in memory…")
    answered(page, "/health", _states(gemma="loading"))
    expect(status).to_have_text(re.compile(r"Loading Gemma 3 4B… \d+ s"))
    expect(tile_of(page, "gemma").locator(".word")).to_have_text("loading…")
    expect(tile_of(page, "blip").locator(".word")).to_have_text("on first use")
    answered(page, "/health", _states(gemma="ready"))
    expect(status).to_contain_text("Looking…")
    found = {"filename": "slow.png", "caption": "there", "tags": [], "flagged": False, "flag_evaluated": False}
    found |= {"cache": False, "model": "gemma", "revision": "0", "weights": "hub"}
    held[0].fulfill(json={"results": [found]})
    expect(card_of(page, "slow.png").locator(".text")).to_have_text("there")
    expect(page.locator("#sample-weights")).to_be_hidden()


def test_weights_that_are_missing_are_not_waited_for(page: Page) -> None:
    error = {"code": "weights_unavailable", "message": "They could not be fetched.", "param": None, "request_id": "1"}
    answered(page, "/health", _states(gemma="failed"))
    page.route(
        _ASK,
        lambda route: route.fulfill(
            status=503, headers={"Retry-After": "30"}, json={"detail": error["message"], "error": error}
        ),
    )
    page.reload()
    model_of(page, "gemma").check()
    choose(page, ("missing.png", scene("page missing")[0]))
    card = card_of(page, "missing.png")
    expect(card.locator(".message")).to_have_text("They could not be fetched.")
    expect(page.locator("#line")).to_have_text("0 captions, 1 failed")
    expect(page.locator("#facts")).to_contain_text("It could not be loaded. The next question tries again.")


def test_a_flag_says_what_the_model_said(page: Page) -> None:
    model_of(page, "gemma").check()
    page.get_by_label("Flag question").fill("Is there a cat?")
    for flagged, evaluated, verdict in (
        (True, True, "yes"),
        (False, True, "no"),
        (None, True, "not understood"),
        (None, False, "not answered"),
    ):
        name = f"{verdict}.png"
        found = {"filename": name, "caption": "a cat", "tags": ["cat"], "flagged": flagged, "flag_evaluated": evaluated}
        found |= {"cache": False, "model": "gemma", "revision": "0", "weights": "hub"}
        answered(page, "/api/caption-images", {"results": [found]})
        choose(page, (name, scene("page flag")[0]))
        expect(card_of(page, name).locator(".flag-question")).to_have_text("Is there a cat?")
        expect(card_of(page, name).locator(".verdict")).to_have_text(verdict)


def test_an_answer_that_went_wrong_is_told(page: Page) -> None:
    model_of(page, "gemma").check()
    for finish, text, shown in (
        ("loop", "ha ha", "ha ha"),
        ("empty", "", "(the model wrote nothing)"),
        ("stop", "a cat", "a cat"),
    ):
        name = f"{finish}.png"
        found = {"filename": name, "caption": text, "tags": [], "flagged": False, "flag_evaluated": False}
        found |= {"finish_reason": finish, "cache": False, "model": "gemma", "revision": "0", "weights": "hub"}
        answered(page, "/api/caption-images", {"results": [found]})
        choose(page, (name, scene("page endings")[0]))
        expect(card_of(page, name).locator(".said")).to_have_text(shown)
        expect(card_of(page, name).locator(".cut")).to_be_visible(visible=finish == "loop")


def test_no_mouse_is_needed(page: Page) -> None:
    asked: list[Any] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(json={"answer": "two", "cache": False, "model": "gemma", "revision": "0", "weights": "hub"})

    page.route("**/query", answer)
    model_of(page, "blip").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(model_of(page, "gemma")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(mode_of(page, "One caption for all")).to_be_checked()
    choose(page, *((f"{number}.png", scene(f"page keys {number}")[0]) for number in range(3)))
    expect(page.get_by_role("button", name="Move 0.png earlier")).to_be_disabled()
    page.get_by_role("button", name="Move 0.png later").press("Enter")
    expect(page.get_by_role("button", name="Move 0.png later")).to_be_focused()
    expect(page.locator("#live")).to_have_text("0.png is now 2 of 3")
    page.keyboard.press("Enter")
    expect(card_of(page, "0.png")).to_be_focused()  # its button is disabled now, and nothing else would have the focus
    expect(page.locator(".name")).to_have_text(["1.png", "2.png", "0.png"])
    mode_of(page, "One caption for all").press("ArrowDown")
    expect(mode_of(page, "Ask")).to_be_checked()
    page.get_by_label("Ask about 2.png").fill("How many?")
    page.get_by_label("Ask about 2.png").press("Enter")
    expect(page.locator("#live")).to_have_text("two")
    expect(card_of(page, "2.png").locator(".thread .words")).to_have_text(["How many?"])
    page.locator("#words").fill("What is it?")
    page.locator("#words").press("Enter")
    expect(page.locator("#live")).to_have_text("4 answers")  # and not each of them
    assert [one["question"] for one in asked] == ["How many?"] + ["What is it?"] * 3
    page.get_by_role("button", name="Code", exact=True).press("Enter")
    expect(page.get_by_role("dialog", name="The same from a program")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Code", exact=True)).to_be_focused()


def test_pictures_are_dragged_to_another_place(page: Page) -> None:
    model_of(page, "gemma").check()
    mode_of(page, "One caption for all").check()
    choose(page, *((f"{number}.png", scene(f"page drag {number}")[0]) for number in range(3)))
    expect(page.locator("#order-hint")).to_contain_text("Move them with the arrows or by dragging.")
    page.evaluate("new MutationObserver(() => { window.veiled ||= !veil.hidden; }).observe(veil, { attributes: true })")
    card_of(page, "2.png").locator(".frame").hover()
    page.mouse.down()
    card_of(page, "0.png").locator(".frame").hover()
    card_of(page, "0.png").locator(".frame").hover(position={"x": 20, "y": 20})
    expect(page.locator(".held")).to_have_count(1)
    page.mouse.up()
    expect(page.locator(".held")).to_have_count(0)
    assert not page.evaluate("window.veiled")  # the veil is for files
    expect(page.locator(".name")).to_have_text(["2.png", "0.png", "1.png"])
    expect(page.get_by_role("button", name="Move 2.png earlier")).to_be_disabled()


@pytest.mark.parametrize("model", list(REGISTRY))
def test_a_model_does_all_that_it_can(page: Page, model: str) -> None:
    if model not in able(Task.CAPTION):
        pytest.skip("its sample weights are not here")
    tasks = REGISTRY[model].tasks
    pictures = [scene(f"page tasks {number}", count=number) for number in (1, 2)]
    (_, first), (_, second) = pictures
    model_of(page, model).check()
    if Task.QUERY in tasks:
        page.get_by_label("Flag question").fill(f"Is there {first}?")
    choose(page, *((f"{number}.png", data) for number, (data, _) in enumerate(pictures, 1)))
    for name, caption in (("1.png", first), ("2.png", second)):
        expect(card_of(page, name).locator(".newest .text")).to_have_text(caption)
    flags = page.locator(".newest .verdict")
    if Task.QUERY not in tasks:
        expect(flags.and_(page.locator(":visible"))).to_have_count(0)
        return
    expect(flags).to_have_text(["yes", "no"])
    rows = json.loads(saved(page, "JSON"))
    assert [(row["flagged"], row["flag_evaluated"]) for row in rows] == [(True, True), (False, True)]

    mode_of(page, "Ask").check()
    page.get_by_role("button", name="How many shapes are there?").click()
    expect(card_of(page, "1.png").locator(".thread .text")).to_have_text("one")
    expect(card_of(page, "2.png").locator(".thread .text")).to_have_text("two")
    page.get_by_label("Ask about 1.png").fill(f"What shape is {first.split()[1]}?")
    page.get_by_label("Ask about 1.png").press("Enter")
    expect(card_of(page, "1.png").locator(".thread .text")).to_have_text(["one", first.split()[2]])
    expect(card_of(page, "2.png").locator(".thread .text")).to_have_text(["two"])
    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV"))))
    assert [(row["filename"], row["question"], row["answer"]) for row in rows] == [
        ("1.png", "How many shapes are there?", "one"),
        ("1.png", f"What shape is {first.split()[1]}?", first.split()[2]),
        ("2.png", "How many shapes are there?", "two"),
    ]
    if Task.COLLECTIVE not in tasks:
        return

    mode_of(page, "One caption for all").check()
    page.get_by_label("Flag question").fill("")
    page.get_by_role("button", name="Write caption").click()
    expect(page.locator("#collective .text")).to_have_text(f"{first}; {second}")
    expect(page.locator("#run")).not_to_contain_class("due")
    page.get_by_role("button", name="Move 1.png later").click()
    expect(page.locator("#order-hint")).to_have_text("The order has changed since.")
    expect(page.locator("#run")).to_contain_class("due")
    page.get_by_role("button", name="Write caption").click()
    expect(page.locator("#collective .text")).to_have_text(f"{second}; {first}")
    (row,) = json.loads(saved(page, "JSON"))
    assert (row["filenames"], row["count"]) == (["2.png", "1.png"], 2)
    assert row["collective_caption"] == f"{second}; {first}"

    mode_of(page, "Caption each picture").check()  # what was there stays
    expect(card_of(page, "1.png").locator(".newest .text")).to_have_text(first)


def test_a_file_that_one_caption_cannot_be_about_is_named(page: Page) -> None:
    model_of(page, able(Task.COLLECTIVE)[-1]).check()
    mode_of(page, "One caption for all").check()
    choose(page, ("good.png", scene("page blamed")[0]), ("notes.jpg", TEXT))
    press_run(page)
    collective = page.locator("#collective")
    expect(collective.locator(".message")).to_contain_text("'notes.jpg': The file is not a picture.")
    expect(page.locator("#line")).to_have_text("0 captions, 1 failed")
    page.get_by_role("button", name="Remove notes.jpg").click()
    expect(page.locator("#order-hint")).to_have_text("The pictures have changed since.")
    collective.get_by_role("button", name="Try all pictures again").click()
    expect(collective.locator(".text")).to_have_text(scene("page blamed")[1])


def test_the_sample_picture_is_asked_about(page: Page) -> None:
    model_of(page, able(Task.QUERY)[-1]).check()
    mode_of(page, "Ask").check()
    page.get_by_role("button", name="Try a sample picture").click()
    expect(card_of(page, "sample.png").locator(".thread .words")).to_have_text(["What color is the circle?"])
    expect(card_of(page, "sample.png").locator(".thread .text")).to_have_text(["red"])
    card_of(page, "sample.png").get_by_role("button", name="Remove sample.png").click()
    model_of(page, able(Task.COLLECTIVE)[-1]).check()
    mode_of(page, "One caption for all").check()
    page.get_by_role("button", name="Try two sample pictures").click()
    expect(page.locator("#collective .text")).to_have_text(f"{SAMPLE}; a yellow cross and a purple circle")


def test_the_code_asks_the_same(page: Page, tmp_path: Path) -> None:
    """What the dialog shows runs as it is, with names and words that a shell and a form would take apart."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    name = 'it\'s "a";b, $c.png'
    content, caption = scene("page code")
    other, second = scene("page code too")
    (tmp_path / name).write_bytes(content)
    (tmp_path / "2.png").write_bytes(other)

    def run(language: str) -> str:
        page.get_by_role("button", name="Code", exact=True).click()
        copies = "Copy as curl" if language == "bash" else "Copy as Python"
        page.get_by_role("button", name=copies, exact=True).click()
        page.get_by_role("button", name="Close").click()
        code: str = page.evaluate("navigator.clipboard.readText()")
        return ran(language, code)

    def ran(language: str, code: str) -> str:
        command = ["bash", "-euc"] if language == "bash" else [sys.executable, "-W", "error::SyntaxWarning", "-c"]
        done = subprocess.run([*command, code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    model_of(page, able(Task.COLLECTIVE)[-1]).check()
    mode_of(page, "One caption for all").check()
    choose(page, (name, content), ("2.png", other))
    body = json.loads(run("bash"))
    assert body["collective_caption"] == f"{caption}; {second}"
    assert run("python") == f"{caption}; {second}\n"

    mode_of(page, "Ask").check()
    page.locator("#words").fill(f"Is there {caption}?")
    answers = json.loads(f"[{run('bash').strip().replace(chr(10), ',')}]")
    assert [answer["answer"] for answer in answers] == ["yes", "no"]
    assert run("python") == f"{name} yes\n2.png no\n"
    page.get_by_role("button", name=f"Remove {name}").click()
    page.locator("#words").fill('It\'s "100%\\n": is there a $HOME?')
    assert json.loads(run("bash"))["status"] == "success"
    assert run("python").startswith("2.png ")

    mode_of(page, "Caption each picture").check()
    page.get_by_label("Flag question").fill(f"Is there {second}?")
    (result,) = json.loads(run("bash"))["results"]
    assert (result["caption"], result["flagged"]) == (second, True)
    assert run("python") == f"2.png {second}\n"
    press_run(page)
    expect(card_of(page, "2.png").locator(".newest .cached")).to_be_visible()
    page.get_by_role("button", name="Copy as curl: 2.png").click()
    expect(page.locator("#live")).to_have_text("Copied")
    (again,) = json.loads(ran("bash", page.evaluate("navigator.clipboard.readText()")))["results"]
    assert again == {**result, "cache": True}

    if not able(Task.DETECT):
        return
    model_of(page, able(Task.DETECT)[0]).check()
    page.get_by_label("Long").check()
    assert json.loads(run("bash"))["caption"].startswith(second)
    assert run("python").startswith(f"2.png {second} ")
    mode_of(page, "Find boxes").check()
    page.locator("#words").fill(second.removeprefix("a "))
    found = json.loads(run("bash"))
    assert [box["label"] for box in found["detections"]] == [second.removeprefix("a ")]
    assert run("python") == f"2.png {found['detections']}\n"
    mode_of(page, "Point").check()
    found = json.loads(run("bash"))
    assert found["coordinates"]["count"] == 1
    assert run("python") == f"2.png {found['coordinates']['points']}\n"
