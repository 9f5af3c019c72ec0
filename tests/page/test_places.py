"""Boxes and points on the page: where they lie over the picture, in words, copied and saved; and caption lengths.

Where exact places matter, the answers are given here in the service's place.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from looksee.core.tasks import Task
from samples.world import scenes
from tests.support.browsing import able, answered, card_of, choose, mode_of, model_of, press_run, saved

WHOSE = {"cache": False, "model": "moondream", "revision": "0", "weights": "sample"}
# Left, top, right, bottom in parts of the picture: one inside another, one at the very edge.
BOXES = [(0.1, 0.2, 0.6, 0.9), (0.25, 0.4, 0.4, 0.6), (0.75, 0, 1, 0.3)]
POINTS = [(0.1, 0.1), (0.5, 0.75), (0.98, 0.02)]
WIDTH, HEIGHT = 160, 120


def boxes(places: list[tuple[float, float, float, float]], label: str = "circle", **image: int) -> dict[str, Any]:
    names = ("x_min", "y_min", "x_max", "y_max")
    found = [{"label": label, **dict(zip(names, place, strict=True))} for place in places]
    size = {"width": WIDTH, "height": HEIGHT, **image}
    return {"status": "success", "detections": found, "count": len(found), "image": size, **WHOSE}


def points(places: list[tuple[float, float]]) -> dict[str, Any]:
    found = [{"x": x, "y": y} for x, y in places]
    size = {"width": WIDTH, "height": HEIGHT}
    return {"status": "success", "coordinates": {"points": found, "count": len(found)}, "image": size, **WHOSE}


def plain(kind: str = "PNG", *, size: tuple[int, int] = (WIDTH, HEIGHT), turned: bool = False) -> bytes:
    """A white picture; `turned`: a file that lies on its side and says so."""
    file = io.BytesIO()
    tag = Image.Exif()
    if turned:
        size = size[::-1]
        tag[0x0112] = 6
    Image.new("RGB", size, "white").save(file, kind, exif=tag)
    return file.getvalue()


def look_for(page: Page, words: str, title: str = "Find boxes") -> None:
    model_of(page, "moondream").check()
    mode_of(page, title).check()
    page.locator("#words").fill(words)


def drawn(page: Page, name: str, selector: str) -> list[list[float]]:
    """Where marks of a card are seen, in parts of its picture as it is shown: left, top, right, bottom."""
    found: list[list[float]] = card_of(page, name).evaluate(
        """(card, selector) => {
            const image = card.querySelector("img");
            const frame = image.getBoundingClientRect();
            const fit = Math.min(frame.width / image.naturalWidth, frame.height / image.naturalHeight);
            const [width, height] = [image.naturalWidth * fit, image.naturalHeight * fit];
            const left = frame.left + (frame.width - width) / 2;
            const top = frame.top + (frame.height - height) / 2;
            const marks = [...card.querySelectorAll(selector)];
            marks.sort((one, other) => one.parentNode.dataset.number - other.parentNode.dataset.number);
            return marks.map((mark) => {
                const { x, y, width: across, height: down } = mark.getBBox();
                const { left: from, top: above } = mark.ownerSVGElement.getBoundingClientRect();
                const [start, head] = [x + from - left, y + above - top];
                return [start / width, head / height, (start + across) / width, (head + down) / height];
            });
        }""",
        selector,
    )
    return found


@pytest.mark.parametrize("width", [1280, 700, 360])
def test_boxes_and_points_lie_where_the_answer_says(page: Page, width: int) -> None:
    page.set_viewport_size({"width": 1000, "height": 800})
    names = {"flat.png": plain(), "turned.jpg": plain("JPEG", turned=True)}
    answered(page, "/detect", boxes(BOXES))
    answered(page, "/point", points(POINTS))
    look_for(page, "circle")
    choose(page, *names.items())
    expect(page.locator("#line")).to_have_text("6 boxes in 2 pictures")
    page.set_viewport_size({"width": width, "height": 800})  # what was drawn follows its picture
    for name in names:
        for its, expected in zip(drawn(page, name, ".mark > :nth-child(2)"), BOXES, strict=True):
            assert its == pytest.approx(expected, abs=0.012)  # at the edge a line is drawn a little further in
        for its in drawn(page, name, ".chip > rect"):
            assert min(its) >= -0.001
            assert max(its) <= 1.001
    mode_of(page, "Point").check()
    press_run(page)
    expect(page.locator("#line")).to_have_text("6 points in 2 pictures")
    for name in names:
        for its, (x, y) in zip(drawn(page, name, ".mark > :nth-child(2)"), POINTS, strict=True):
            assert ((its[0] + its[2]) / 2, (its[1] + its[3]) / 2) == pytest.approx((x, y), abs=0.002)


def test_each_box_and_its_words_point_out_each_other(page: Page) -> None:
    answered(page, "/detect", boxes(BOXES))
    look_for(page, "circle")
    choose(page, ("boxes.png", plain()))
    card = card_of(page, "boxes.png")
    expect(card.locator(".text")).to_have_text("3 boxes for “circle”")
    entries = card.get_by_role("list", name="Found in boxes.png").get_by_role("button")
    expect(entries).to_have_text(
        [
            re.compile("^1 middle 80 . 84 px at 16, 24$"),
            re.compile("^2 left 24 . 24 px at 40, 48$"),
            re.compile("^3 top right 40 . 36 px at 120, 0$"),
        ]
    )

    def expect_lit(number: int | None) -> None:
        for each in (1, 2, 3):
            lit = re.compile(r"\blit\b")
            marks = card.locator(f"svg [data-number='{each}']")
            expect(marks).to_have_count(2)
            for element in (entries.nth(each - 1), marks.first, marks.last):
                (expect(element).to_have_class if each == number else expect(element).not_to_have_class)(lit)

    expect_lit(None)
    entries.nth(2).hover()
    expect_lit(3)
    card.locator(".name").hover()
    expect_lit(None)
    entries.nth(0).focus()
    expect_lit(1)
    page.keyboard.press("Tab")
    expect_lit(2)
    frame = card.locator(".frame").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + 0.5 * frame["width"], frame["y"] + 0.8 * frame["height"])
    expect_lit(1)
    page.mouse.move(frame["x"] + 0.33 * frame["width"], frame["y"] + 0.5 * frame["height"])
    expect_lit(2)  # it lies within the first and is not hidden by it
    page.mouse.click(frame["x"] + 0.9 * frame["width"], frame["y"] + 0.2 * frame["height"])
    card.locator(".name").hover()
    page.locator("#words").focus()
    expect_lit(3)
    expect(entries.nth(2)).to_have_attribute("aria-pressed", "true")
    page.set_viewport_size({"width": 500, "height": 700})
    expect_lit(3)
    entries.nth(2).press("Enter")
    page.locator("#words").focus()
    expect_lit(None)


def test_what_was_not_found_is_said(page: Page) -> None:
    answered(page, "/detect", boxes([]))
    look_for(page, "cat")
    choose(page, ("empty.png", plain()))
    card = card_of(page, "empty.png")
    expect(card.locator(".text")).to_have_text("Nothing found for “cat”")
    expect(page.locator("#live")).to_have_text("0 boxes in 1 picture")
    expect(card.get_by_role("list")).to_have_count(0)
    expect(card.locator(".overlay > *")).to_have_count(0)
    expect(card.locator(".png")).to_be_hidden()


@pytest.mark.parametrize("spoilt", [{"detections": None}, {"image": {}}, {"detections": [{"label": "circle"}]}])
def test_an_answer_that_cannot_be_drawn_is_a_failure(page: Page, spoilt: dict[str, object]) -> None:
    answered(page, "/detect", boxes(BOXES) | spoilt)
    look_for(page, "circle")
    choose(page, ("spoilt.png", plain()))
    message = "The service gave an answer that cannot be used (status 200)."
    expect(card_of(page, "spoilt.png").locator(".message")).to_have_text(message)


def test_words_come_first_then_pictures_one_after_another(page: Page) -> None:
    asked: list[Any] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(json=boxes(BOXES, asked[-1]["object"]))

    page.route("**/detect", answer)
    look_for(page, "")
    choose(page, ("1.png", plain()))
    expect(page.locator(".unasked")).to_have_text("Nothing looked for yet")
    press_run(page)
    expect(page.locator("#words")).to_be_focused()
    page.locator("#words").fill("circle")
    page.locator("#words").press("Enter")
    expect(page.locator("#line")).to_have_text("3 boxes in 1 picture")
    expect(page.locator("#run")).not_to_contain_class("due")
    choose(page, ("2.png", plain()))
    expect(page.locator("#line")).to_have_text("6 boxes in 2 pictures")
    page.get_by_role("button", name="blue square").click()
    expect(page.locator(".newest .text")).to_have_text(["3 boxes for “blue square”"] * 2)
    assert [one["object"] for one in asked] == ["circle", "circle", "blue square", "blue square"]
    assert {one["model"] for one in asked} == {"moondream"}
    mode_of(page, "Ask").check()
    expect(page.locator("#words")).to_have_value("")  # an object is no question
    expect(page.locator(".overlay svg")).to_have_count(0)
    mode_of(page, "Find boxes").check()
    expect(page.locator("#words")).to_have_value("blue square")
    expect(page.locator(".overlay svg")).to_have_count(2)


def test_what_was_found_is_copied_and_saved(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    failure = {"code": "corrupt_image", "message": "Broken.", "param": "image", "request_id": "1"}
    found = boxes(BOXES)
    for place, sure in zip(found["detections"], (0.9, 0.75, 0.5), strict=True):
        place["confidence"] = sure
    answers = iter([found, boxes([], "circle")])
    page.route("**/detect", lambda route: route.fulfill(json=next(answers, {"detail": "Broken.", "error": failure})))
    look_for(page, "circle")
    for name in ("1.png", "2.png", "3.png"):
        choose(page, (name, plain()))
        expect(card_of(page, name)).to_have_attribute("aria-busy", "false")
    expect(page.locator("#line")).to_have_text("3 boxes in 2 pictures, 1 failed")

    rows = json.loads(saved(page, "JSON"))
    assert [(row["filename"], row["object"]) for row in rows] == [(f"{n}.png", "circle") for n in (1, 2, 3)]
    assert (rows[0]["detections"], rows[0]["count"], rows[0]["image"]) == (
        found["detections"],
        3,
        {"width": WIDTH, "height": HEIGHT},
    )
    assert (rows[1]["detections"], rows[1]["model"]) == ([], "moondream")
    assert rows[2]["error"]["code"] == "corrupt_image"
    lines = list(csv.DictReader(io.StringIO(saved(page, "CSV"))))
    assert [(line["filename"], line["count"], line["number"]) for line in lines] == [
        ("1.png", "3", "1"),
        ("1.png", "3", "2"),
        ("1.png", "3", "3"),
        ("2.png", "0", ""),
        ("3.png", "", ""),
    ]
    assert (lines[1]["label"], lines[1]["x_min"], lines[1]["y_max"], lines[1]["image_width"]) == (
        "circle",
        "0.25",
        "0.6",
        str(WIDTH),
    )
    assert [line["confidence"] for line in lines] == ["0.9", "0.75", "0.5", "", ""]
    coco = json.loads(saved(page, "COCO"))
    assert [one["score"] for one in coco["annotations"]] == [0.9, 0.75, 0.5]
    assert [(image["id"], image["file_name"]) for image in coco["images"]] == [(1, "1.png"), (2, "2.png")]
    assert coco["categories"] == [{"id": 1, "name": "circle"}]
    assert [(one["id"], one["image_id"], one["bbox"], one["area"]) for one in coco["annotations"]] == [
        (1, 1, [16, 24, 80, 84], 6720),
        (2, 1, [40, 48, 24, 24], 576),
        (3, 1, [120, 0, 40, 36], 1440),
    ]

    card = card_of(page, "1.png")
    for button, expected in (("JSON", rows[0]), ("COCO", {**coco, "images": coco["images"][:1]})):
        card.get_by_role("button", name=f"Copy as {button}: 1.png").click()
        expect(page.locator("#live")).to_have_text("Copied")
        assert json.loads(page.evaluate("navigator.clipboard.readText()")) == expected
        page.locator("#live").evaluate("(line) => { line.textContent = ''; }")


@pytest.mark.parametrize(("size", "times"), [((900, 600), 1), ((WIDTH, HEIGHT), 4)])
def test_a_picture_is_saved_with_its_boxes(page: Page, size: tuple[int, int], times: int) -> None:
    width, height = size
    answered(page, "/detect", boxes([(0.5, 0.25, 0.75, 0.75)], width=width, height=height))
    look_for(page, "circle")
    choose(page, ("my.holiday.jpg", plain("JPEG", size=size, turned=True)))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as PNG").click()
    assert download.value.suggested_filename == "my.holiday-boxes.png"
    picture = Image.open(Path(download.value.path())).convert("RGB")
    assert picture.size == (width * times, height * times)
    row = np.asarray(picture)[picture.height // 2]
    changed = [int(x) for x in np.flatnonzero(row.min(axis=1) < 128)]
    left, right = 0.5 * picture.width, 0.75 * picture.width
    line = min(picture.size) / 100
    assert changed
    assert all(min(abs(x - left), abs(x - right)) < line for x in changed)
    assert any(abs(x - left) < line for x in changed)
    assert any(abs(x - right) < line for x in changed)


def test_caption_lengths_are_offered_where_there_are_some(page: Page) -> None:
    asked: list[Any] = []

    def sized(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(json={"status": "success", "caption": f"a {asked[-1]['length']} caption", **WHOSE})

    usual = {"filename": "1.png", "caption": "as usual", "tags": [], "flagged": True, "flag_evaluated": True, **WHOSE}
    page.route("**/caption", sized)
    answered(page, "/api/caption-images", {"results": [usual]})
    lengths = page.get_by_role("group", name="Length")
    expect(model_of(page, "blip")).to_be_checked()
    expect(lengths).to_be_hidden()
    model_of(page, "moondream").check()
    expect(lengths.get_by_role("radio", name="Normal")).to_be_checked()
    page.get_by_label("Flag question").fill("Is it?")
    choose(page, ("1.png", plain()))
    text = card_of(page, "1.png").locator(".text")
    expect(text).to_have_text("as usual")
    expect(page.locator(".newest .verdict")).to_have_text("yes")
    page.get_by_label("Short").check()
    expect(page.get_by_label("Flag question")).to_be_disabled()
    expect(page.locator("#run")).to_contain_class("due")
    press_run(page)
    expect(text).to_have_text("a short caption")
    expect(page.locator("#run")).not_to_contain_class("due")
    assert [(one["length"], one["model"]) for one in asked] == [("short", "moondream")]
    assert json.loads(saved(page, "JSON"))[0]["length"] == "short"
    page.get_by_label("Instruction").fill("In French.")
    expect(page.get_by_label("Long")).to_be_disabled()  # an instruction says itself how long
    expect(page.get_by_label("Flag question")).to_be_enabled()
    press_run(page)
    expect(text).to_have_text("as usual")
    mode_of(page, "Find boxes").check()
    expect(lengths).to_be_hidden()


def test_the_sample_pictures_are_searched(page: Page) -> None:
    asked: list[Any] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(json=points(POINTS))

    page.route("**/point", answer)
    look_for(page, "", "Point")
    page.get_by_role("button", name="Try two sample pictures").click()
    expect(page.locator(".newest .text")).to_have_text(["3 points for “shape”"] * 2)
    assert [one["object"] for one in asked] == ["shape", "shape"]


@pytest.mark.parametrize("model", able(Task.DETECT))
def test_the_model_finds_what_is_there(page: Page, model: str) -> None:
    found: dict[str, scenes.Scene] = {}
    files: dict[str, bytes] = {}
    for count in (1, 2, 3):
        rng = random.Random(f"page places {count}")
        found[f"{count}.png"] = scenes.compose(rng, count=count, sides=(240, 320))
        files[f"{count}.png"] = scenes.encode(scenes.draw(found[f"{count}.png"], rng), rng, ("PNG",))
    model_of(page, model).check()
    for title, noun in (("Find boxes", "boxes"), ("Point", "points")):
        mode_of(page, title).check()
        page.locator("#words").fill("shape")
        if noun == "boxes":
            choose(page, *files.items())
        else:
            press_run(page)
        expect(page.locator("#line")).to_have_text(f"6 {noun} in 3 pictures")
        for row in json.loads(saved(page, "JSON")):
            things = found[row["filename"]].find("shape")
            places = row["detections"] if noun == "boxes" else row["coordinates"]["points"]
            assert row["model"] == model
            for thing in things:
                assert sum(_hit(thing, place) for place in places) == 1


def _hit(thing: scenes.Thing, place: dict[str, float]) -> bool:
    """Whether a box or a point has its centre in a thing."""
    x = place.get("x", (place.get("x_min", 0) + place.get("x_max", 0)) / 2)
    y = place.get("y", (place.get("y_min", 0) + place.get("y_max", 0)) / 2)
    return abs(x - thing.x) <= thing.half_width and abs(y - thing.y) <= thing.half_height
