"""The Moondream container API: one picture in base64; a caption, an answer, boxes or points."""

from __future__ import annotations

import base64
import io
import threading
from typing import Any

import pytest
from PIL import Image
from starlette.responses import Response

from looksee.core import errors
from looksee.core.geometry import Box
from looksee.core.images import annotate
from looksee.core.tasks import Answer, Task
from looksee.http.skills.detect import CocoDetection, Detections
from looksee.http.skills.point import Points
from looksee.models.registry import prompts
from tests.http.app import BOXES, POINTS, Doors, content, error
from tests.support.files import encoded, plain

PICTURE = plain()
IMAGE = base64.b64encode(PICTURE).decode()
QUESTION = "Is there a circle?"


@pytest.mark.parametrize("model", ["blip2", "gemma", "intern_vlm", "moondream"])
def test_a_question_is_answered(model: str) -> None:
    doors = Doors()
    expected = {
        "status": "success",
        "answer": "yes",
        "finish_reason": "stop",
        "cache": False,
        "model": model,
        "revision": "0123456789ab",
        "weights": "local",
    }
    answer = doors.query(image=IMAGE, question=QUESTION, model=model)
    assert (answer.status_code, content(answer)) == (200, expected)
    assert "compute;dur=300.0" in answer.headers["server-timing"]
    ((job,),) = doors.calls(model)
    assert (job.task, job.images, job.prompt) == (Task.QUERY, (PICTURE,), prompts.query(model, QUESTION))
    again = doors.query(image=f"data:image/png;base64,{IMAGE}", question=QUESTION, model=model)
    assert content(again) == {**expected, "cache": True}
    assert content(doors.query(image=IMAGE, question=f" {QUESTION}\r\n", model=model)) == {**expected, "cache": True}
    assert content(doors.query(image=IMAGE, question=f"{QUESTION}!", model=model))["cache"] is False


def test_white_space_makes_no_other_question() -> None:
    doors = Doors()
    for text in ("is\u00a0it red?", "  is it red?\n", "is it\r\nred?", "is  it\tred?"):
        doors.query(image=IMAGE, question=text, model="moondream")
        doors.detect(image=IMAGE, object=text, model="moondream")
    assert [job.prompt for jobs in doors.calls("moondream") for job in jobs] == ["is it red?"] * 2
    doors.query(image=IMAGE, question="first\r\nsecond", model="gemma")
    ((job,),) = doors.calls("gemma")
    assert "first\nsecond" in job.prompt
    doors.query(image=IMAGE, question="first\r\nsecond", model="blip2")
    ((job,),) = doors.calls("blip2")
    assert "first second" in job.prompt


def test_a_caption_is_made() -> None:
    doors = Doors()
    body = content(doors.caption(image=IMAGE, prompt="a photo of", model="blip"))
    assert (body["status"], body["caption"], body["model"]) == ("success", "a red circle", "blip")
    assert content(doors.captions(("a.png", PICTURE), caption_prompt="a photo of"))["results"][0]["cache"] is True


@pytest.mark.parametrize("length", ["short", "normal", "long"])
def test_a_caption_has_the_length_that_was_asked_for(length: str) -> None:
    doors = Doors()
    assert content(doors.caption(image=IMAGE, length=length))["caption"] == "a red circle"
    ((job,),) = doors.calls("moondream")
    assert (job.task, job.length, job.prompt) == (Task.CAPTION, length, "")
    assert job.max_new_tokens >= {"short": 50, "normal": 150, "long": 400}[length]
    others = {"short", "normal", "long"} - {length}
    assert [content(doors.caption(image=IMAGE, length=other))["cache"] for other in others] == [False, False]
    assert content(doors.caption(image=IMAGE, length=length))["cache"] is True


def test_uploads_and_the_native_api_caption_alike() -> None:
    doors = Doors()
    doors.caption(image=IMAGE)
    assert content(doors.captions(("a.png", PICTURE), model="moondream"))["results"][0]["cache"] is True


@pytest.mark.parametrize("model", ["blip", "blip2", "gemma", "intern_vlm"])
def test_other_models_have_one_length(model: str) -> None:
    doors = Doors()
    assert doors.caption(image=IMAGE, model=model, length="normal").status_code == 200
    for length in ("short", "long"):
        answer = doors.caption(image=IMAGE, model=model, length=length)
        assert error(answer) == (400, "task_not_supported", "length")
        assert "moondream" in content(answer)["detail"]
    assert error(doors.caption(image=IMAGE, model=model, length="epic")) == (422, "invalid_value", "length")


def test_a_prompt_says_by_itself_how_long_a_caption_is() -> None:
    doors = Doors()
    assert error(doors.caption(image=IMAGE, length="long", prompt="Name it.")) == (422, "invalid_value", "length")
    assert doors.caption(image=IMAGE, length="normal", prompt="Name it.").status_code == 200
    ((job,),) = doors.calls("moondream")
    assert job.prompt == "Name it."


WHOSE = {"finish_reason": "stop", "cache": False, "model": "moondream", "revision": "0123456789ab", "weights": "local"}
PIXELS = [  # of a picture of 20 x 10
    {"label": "red circle", "x_min": 5.0, "y_min": 5.0, "x_max": 15.0, "y_max": 10.0},
    {"label": "red circle", "x_min": 0.0, "y_min": 0.0, "x_max": 6.67, "y_max": 1.0},
]


def test_boxes_are_found() -> None:
    doors = Doors()
    answer = doors.detect(image=IMAGE, object=" red circle\n")
    expected = {
        "status": "success",
        "detections": [{"label": "red circle", **box._asdict()} for box in BOXES],
        "count": 2,
        "image": {"width": 20, "height": 10},
        **WHOSE,
    }
    assert (answer.status_code, content(answer)) == (200, expected)
    assert Detections(**expected).model_dump(exclude_unset=True) == expected
    assert "compute;dur=300.0" in answer.headers["server-timing"]
    ((job,),) = doors.calls("moondream")
    assert (job.task, job.images, job.prompt, job.max_objects) == (Task.DETECT, (PICTURE,), "red circle", 50)
    assert content(doors.detect(image=IMAGE, object="red circle")) == {**expected, "cache": True}


def test_points_are_found() -> None:
    doors = Doors()
    answer = doors.point(image=IMAGE, object="red circle")
    expected = {
        "status": "success",
        "coordinates": {"points": [point._asdict() for point in POINTS], "count": 2},
        "image": {"width": 20, "height": 10},
        **WHOSE,
    }
    assert (answer.status_code, content(answer)) == (200, expected)
    assert Points(**expected).model_dump(exclude_unset=True) == expected
    assert content(doors.point(image=IMAGE, object=" red circle")) == {**expected, "cache": True}
    assert content(doors.detect(image=IMAGE, object="red circle"))["cache"] is False


def test_nothing_is_found() -> None:
    doors = Doors(lambda _: Answer("", "stop", 1, 1))
    boxes = content(doors.detect(image=IMAGE, object="dog"))
    assert (boxes["status"], boxes["detections"], boxes["count"]) == ("success", [], 0)
    assert content(doors.point(image=IMAGE, object="dog"))["coordinates"] == {"points": [], "count": 0}


def test_places_in_pixels() -> None:
    doors = Doors()
    found = content(doors.detect("format=pixel", image=IMAGE, object="red circle"))
    assert found["detections"] == PIXELS
    points = content(doors.point("format=pixel", image=IMAGE, object="red circle"))
    assert points["coordinates"]["points"] == [{"x": 10.0, "y": 7.5}, {"x": 6.67, "y": 0.5}]
    assert [found["cache"], points["cache"]] == [False, False]
    assert content(doors.detect("format=normalized", image=IMAGE, object="red circle"))["cache"] is True


def test_boxes_as_coco_has_them() -> None:
    found = content(Doors().detect("format=coco", image=IMAGE, object="red circle"))
    assert [one["bbox"] for one in found["detections"]] == [[5.0, 5.0, 10.0, 5.0], [0.0, 0.0, 6.67, 1.0]]
    assert {tuple(one) for one in found["detections"]} == {("label", "bbox")}
    assert Detections(**found).detections[0] == CocoDetection(**found["detections"][0])


def test_a_picture_that_lies_on_its_side_is_measured_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = base64.b64encode(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif)).decode()
    doors = Doors(lambda _: Answer("", "stop", 1, 1, boxes=(Box(0.5, 0.5, 1.0, 1.0),)))
    found = content(doors.detect("format=pixel", image=turned, object="it"))
    assert found["image"] == {"width": 10, "height": 20}
    assert [found["detections"][0][side] for side in ("x_min", "y_min", "x_max", "y_max")] == [5, 10, 10, 20]
    assert picture(doors.detect("annotate=true", image=turned, object="it")).size == (10, 20)


def picture(answer: Response) -> Image.Image:
    assert (answer.status_code, answer.media_type) == (200, "image/png")
    return Image.open(io.BytesIO(bytes(answer.body)))


def test_an_annotated_picture_is_an_answer_too() -> None:
    doors = Doors()
    plainly = Image.open(io.BytesIO(PICTURE)).convert("RGB")
    seen = []
    for answer in (
        doors.detect("annotate=true", image=IMAGE, object="red circle"),
        doors.point("annotate=1&format=pixel", image=IMAGE, object="red circle"),
    ):
        drawn = picture(answer)
        assert (drawn.format, drawn.size) == ("PNG", plainly.size)
        seen.append(drawn.convert("RGB").tobytes())
        assert "compute" in answer.headers["server-timing"]
    assert len({plainly.tobytes(), *seen}) == 3
    assert content(doors.detect("annotate=false", image=IMAGE, object="red circle"))["cache"] is True


def test_drawing_leaves_the_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def draw(*_: object) -> bytes:
        threads.append(threading.get_ident())
        return b"drawn"

    monkeypatch.setattr(annotate, "boxes", draw)
    monkeypatch.setattr(annotate, "points", draw)
    doors = Doors()
    assert bytes(doors.detect("annotate=true", image=IMAGE, object="it").body) == b"drawn"
    assert bytes(doors.point("annotate=true", image=IMAGE, object="it").body) == b"drawn"
    assert len(threads) == 2
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("format=yolo", "format"),
        ("format=", "format"),
        ("format=PIXEL", "format"),
        ("annotate=maybe", "annotate"),
        ("annotate=", "annotate"),
    ],
)
def test_a_view_that_there_is_not_is_refused(query: str, param: str) -> None:
    doors = Doors()
    for answer in (doors.detect(query, image=IMAGE, object="it"), doors.point(query, image=IMAGE, object="it")):
        assert error(answer) == (422, "invalid_value", param)
    refused = doors.point("format=coco", image=IMAGE, object="it")
    assert error(refused) == (422, "invalid_value", "format"), "a point has no width"
    assert content(refused)["detail"] == "'format' must be one of: normalized, pixel."
    assert not doors.calls("moondream")


def test_a_picture_that_is_damaged_inside_cannot_be_drawn_into() -> None:
    damaged = base64.b64encode(plain(size=(200, 100))[:-30]).decode()
    assert error(Doors().detect("annotate=true", image=damaged, object="it"))[:2] == (400, "corrupt_image")


@pytest.mark.parametrize(("given", "asked"), [(None, 50), (1, 1), (150, 150)])
def test_as_many_things_are_found_as_asked_for(given: int | None, asked: int) -> None:
    doors = Doors()
    doors.detect(image=IMAGE, object="it", max_objects=given)
    doors.point(image=IMAGE, object="it", max_objects=given)
    assert [job.max_objects for (job,) in doors.calls("moondream")] == [asked, asked]


@pytest.mark.parametrize("count", [0, -1, 151, 10**30])
def test_a_number_of_things_out_of_bounds_is_named(count: int) -> None:
    doors = Doors()
    for answer in (
        doors.detect(image=IMAGE, object="it", max_objects=count),
        doors.point(image=IMAGE, object="it", max_objects=count),
    ):
        assert error(answer) == (422, "invalid_value", "max_objects")
        assert content(answer)["detail"] == "'max_objects' must be a whole number from 1 to 150."


@pytest.mark.parametrize("model", ["blip", "blip2", "gemma", "intern_vlm"])
def test_a_model_that_finds_nothing_is_refused_with_those_that_do(model: str) -> None:
    doors = Doors()
    for answer in (
        doors.detect(image=IMAGE, object="it", model=model),
        doors.point(image=IMAGE, object="it", model=model),
    ):
        assert error(answer) == (400, "task_not_supported", "model")
        assert content(answer)["detail"].endswith("These have it: moondream.")


@pytest.mark.parametrize("model", ["blip"])
def test_a_model_that_answers_no_questions_is_refused_with_those_that_do(model: str) -> None:
    answer = Doors().query(image=IMAGE, question=QUESTION, model=model)
    assert error(answer) == (400, "task_not_supported", "model")
    assert "blip2, gemma, intern_vlm, moondream" in content(answer)["detail"]


@pytest.mark.parametrize(
    ("given", "limit", "asked"), [(None, 512, None), (1, 512, 1), (512, 512, 512), (None, 10, 10), (10, 10, 10)]
)
def test_an_answer_has_as_many_new_tokens_as_asked_for_and_never_more_than_the_limit(
    given: int | None, limit: int, asked: int | None
) -> None:
    doors = Doors(max_new_tokens=limit)
    assert doors.query(image=IMAGE, question=QUESTION, max_new_tokens=given, model="gemma").status_code == 200
    assert doors.caption(image=IMAGE, max_new_tokens=given, model="blip").status_code == 200
    assert doors.caption(image=IMAGE, max_new_tokens=given, length="long").status_code == 200
    for model in ("gemma", "blip", "moondream"):
        ((job,),) = doors.calls(model)
        assert job.max_new_tokens == asked if asked else 20 < job.max_new_tokens <= limit


@pytest.mark.parametrize("count", [0, -1, 1025, 10**30])
def test_a_number_of_new_tokens_out_of_bounds_is_named(count: int) -> None:
    doors = Doors()
    for answer in (
        doors.query(image=IMAGE, question=QUESTION, max_new_tokens=count),
        doors.caption(image=IMAGE, max_new_tokens=count),
    ):
        assert error(answer) == (422, "invalid_value", "max_new_tokens")
        wanted = "'max_new_tokens' must be a whole number from 1 to 1024; LOOKSEE_MAX_NEW_TOKENS raises the limit."
        assert content(answer)["detail"] == wanted


BAD: list[tuple[dict[str, Any], tuple[int, str, str | None]]] = [
    ({"question": ""}, (422, "invalid_value", "question")),
    ({"question": " \n"}, (422, "invalid_value", "question")),
    ({"question": "\ud800"}, (422, "invalid_value", "question")),
    ({"question": "x" * 4001}, (422, "prompt_too_long", "question")),
    ({"image": ""}, (400, "empty_file", "image")),
    ({"image": "no base64!"}, (400, "invalid_request", "image")),
    ({"image": "\ud800"}, (400, "invalid_request", "image")),
    ({"image": "https://example.com/a.png"}, (400, "image_url_not_allowed", "image")),
    ({"image": base64.b64encode(b"text").decode()}, (415, "unsupported_image_type", "image")),
    ({"model": "gpt"}, (422, "unknown_model", "model")),
    ({"model": "\ud800"}, (422, "unknown_model", "model")),
]


@pytest.mark.parametrize(("body", "expected"), BAD)
def test_wrong_requests_reach_no_model(body: dict[str, Any], expected: tuple[int, str, str | None]) -> None:
    doors = Doors()
    assert error(doors.query(**{"image": IMAGE, "question": QUESTION, **body})) == expected
    body = {"object" if name == "question" else name: value for name, value in body.items()}
    expected = (*expected[:2], "object" if expected[2] == "question" else expected[2])
    assert error(doors.detect(**{"image": IMAGE, "object": "it", **body})) == expected
    assert error(doors.point(**{"image": IMAGE, "object": "it", **body})) == expected
    assert not any(doors.calls(name) for name in doors.proxies)


@pytest.mark.parametrize("kind", [errors.CorruptImage, errors.Overloaded, errors.RunnerFailed, errors.ModelNotReady])
def test_what_the_model_refuses_is_told(kind: type[errors.LookseeError]) -> None:
    doors = Doors(lambda _: kind("Not now.", retry_after=2))
    for answer in (
        doors.query(image=IMAGE, question=QUESTION),
        doors.caption(image=IMAGE),
        doors.detect(image=IMAGE, object="it"),
        doors.point("annotate=true", image=IMAGE, object="it"),
    ):
        assert error(answer) == (kind.status, kind.code, None)
        assert answer.headers["retry-after"] == "2"


def test_a_prompt_that_is_too_long_for_the_model_is_named_as_the_caller_knows_it() -> None:
    doors = Doors(lambda _: errors.PromptTooLong("Too long.", param="caption_prompt"))
    assert error(doors.query(image=IMAGE, question=QUESTION)) == (422, "prompt_too_long", "question")
    assert error(doors.caption(image=IMAGE)) == (422, "prompt_too_long", "prompt")
    assert error(doors.detect(image=IMAGE, object="it")) == (422, "prompt_too_long", "object")
    assert error(doors.point(image=IMAGE, object="it")) == (422, "prompt_too_long", "object")
