"""The Moondream container API for forms: the same answers as for JSON, and the refusals of any upload."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image
from starlette.responses import Response

from looksee.core.tasks import Task
from tests.http.app import Doors, content, error
from tests.support.files import plain, wide_png

PICTURE = plain()
IMAGE = base64.b64encode(PICTURE).decode()

ASKED: list[tuple[Task, dict[str, Any]]] = [
    (Task.CAPTION, {}),
    (Task.CAPTION, {"length": "long"}),
    (Task.CAPTION, {"model": "blip", "prompt": "a photo of", "max_new_tokens": 7}),
    (Task.QUERY, {"question": "Is it red?"}),
    (Task.QUERY, {"question": "Is it red?", "model": "gemma", "max_new_tokens": 1}),
    (Task.DETECT, {"object": " red circle "}),
    (Task.DETECT, {"object": "red circle", "max_objects": 3}),
    (Task.POINT, {"object": "red circle", "model": "moondream"}),
]


def native(doors: Doors, task: Task, query: str = "", **body: Any) -> Response:
    """The same question by JSON."""
    if task in (Task.DETECT, Task.POINT):
        return (doors.detect if task is Task.DETECT else doors.point)(query, image=IMAGE, **body)
    return (doors.caption if task is Task.CAPTION else doors.query)(image=IMAGE, **body)


@pytest.mark.parametrize(("task", "fields"), ASKED)
def test_a_form_is_answered_as_json_is(task: Task, fields: dict[str, Any]) -> None:
    doors = Doors()
    answer = doors.upload(task, PICTURE, **fields)
    assert answer.status_code == 200
    assert "compute;dur=300.0" in answer.headers["server-timing"]
    assert content(native(doors, task, **fields)) == {**content(answer), "cache": True}
    ((job,),) = doors.calls(fields.get("model", "moondream"))
    assert (job.task, job.images) == (task, (PICTURE,))


@pytest.mark.parametrize(("task", "query"), [(Task.DETECT, "pixel"), (Task.DETECT, "coco"), (Task.POINT, "pixel")])
def test_places_are_told_as_the_query_says(task: Task, query: str) -> None:
    doors = Doors()
    answer = content(doors.upload(task, PICTURE, params={"format": query}, object="it"))
    assert answer == {**content(native(doors, task, f"format={query}", object="it")), "cache": False}
    assert answer != {**content(native(doors, task, object="it")), "cache": False}


@pytest.mark.parametrize("task", [Task.DETECT, Task.POINT])
def test_an_annotated_picture(task: Task) -> None:
    doors = Doors()
    answer = doors.upload(task, PICTURE, params={"annotate": "true"}, object="it")
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (20, 10)
    assert answer.content == bytes(native(doors, task, "annotate=true", object="it").body)


@pytest.mark.parametrize("task", ["detect", "point"])
def test_the_view_may_be_a_field_and_a_field_in_the_query(task: str) -> None:
    doors = Doors()
    by_query = doors.upload(task, PICTURE, params={"format": "pixel"}, object="it")
    for answer in (
        doors.upload(task, PICTURE, object="it", format="pixel"),
        doors.upload(task, PICTURE, params={"object": "it", "format": "pixel"}),
        doors.upload(task, PICTURE, params={"object": "it"}, format="pixel", annotate="false"),
    ):
        assert content(answer) == content(by_query) | {"cache": True}
    drawn = doors.upload(task, PICTURE, object="it", annotate="true")
    assert drawn.headers["content-type"] == "image/png"


NEEDED: dict[str, dict[str, Any]] = {
    "caption": {},
    "query": {"question": "What?"},
    "detect": {"object": "it"},
    "point": {"object": "it"},
}
BAD_FILES: list[tuple[bytes, tuple[int, str]]] = [
    (b"", (400, "empty_file")),
    (b"text", (415, "unsupported_image_type")),
    (b"%PDF-1.7" + bytes(50), (415, "unsupported_image_type")),
    (b"\x89PNG\r\n\x1a\n", (400, "corrupt_image")),
    (wide_png(9000, 9000), (413, "image_too_large")),
    (plain(size=(2, 2)), (422, "image_too_small")),
    (bytes(10 * 2**20 + 1), (413, "file_too_large")),
]


@pytest.mark.parametrize("task", NEEDED)
@pytest.mark.parametrize(("data", "expected"), BAD_FILES)
def test_a_bad_file_is_refused_as_everywhere(task: str, data: bytes, expected: tuple[int, str]) -> None:
    doors = Doors()
    assert error(doors.upload(task, data, **NEEDED[task])) == (*expected, "file")
    assert error(doors.captions(("a.png", data)))[:2] == expected
    assert not any(doors.calls(name) for name in doors.proxies)


@pytest.mark.parametrize("task", NEEDED)
def test_a_form_has_one_file(task: str) -> None:
    doors = Doors()
    for options in (
        {"files": {"file": ("", b"")}, "data": NEEDED[task]},  # as a browser sends it when none is chosen
        {"files": {"x": ("", b"")}, "data": NEEDED[task]},
    ):
        answer = doors.send(f"/upload/{task}", **options)
        assert error(answer) == (422, "invalid_value", "file")
        assert content(answer)["detail"] == "Send one file in the form field 'file'."
    other = doors.send(f"/upload/{task}", files={"other": ("a.png", PICTURE)}, data=NEEDED[task])
    assert error(other) == (400, "unsupported_parameter", "other")
    text = doors.send(f"/upload/{task}", files={"x": ("", b"")}, data={"file": "text", **NEEDED[task]})
    assert error(text) == (422, "invalid_value", "file")
    two = doors.send(f"/upload/{task}", files=[("file", ("a.png", PICTURE))] * 2, data=NEEDED[task])
    assert error(two) == (413, "too_many_files", "file")
    assert content(two)["detail"] == "The request has 2 pictures; at most 1 is accepted."


@pytest.mark.parametrize("task", NEEDED)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"json": {"file": IMAGE}}, (415, "unsupported_media_type")),
        ({"data": {"file": IMAGE}}, (415, "unsupported_media_type")),
        ({"content": PICTURE, "headers": {"content-type": "image/png"}}, (415, "unsupported_media_type")),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, (400, "invalid_request")),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, (400, "invalid_request")),
        ({}, (422, "invalid_value")),
    ],
)
def test_what_is_no_form(task: str, options: dict[str, Any], expected: tuple[int, str]) -> None:
    assert error(Doors().send(f"/upload/{task}", **options))[:2] == expected


@pytest.mark.parametrize(
    ("task", "fields", "expected"),
    [
        ("caption", {"length": "epic"}, (422, "invalid_value", "length")),
        ("caption", {"length": "short", "model": "blip"}, (400, "task_not_supported", "length")),
        ("caption", {"model": "gpt"}, (422, "unknown_model", "model")),
        ("caption", {"max_new_tokens": "many"}, (422, "invalid_value", "max_new_tokens")),
        ("caption", {"max_new_tokens": "0"}, (422, "invalid_value", "max_new_tokens")),
        ("caption", {"max_new_tokens": "9" * 5000}, (422, "invalid_value", "max_new_tokens")),
        ("caption", {"prompt": "x" * 4001}, (422, "prompt_too_long", "prompt")),
        ("query", {}, (422, "invalid_value", "question")),
        ("query", {"question": " "}, (422, "invalid_value", "question")),
        ("query", {"question": "x", "model": "blip"}, (400, "task_not_supported", "model")),
        ("detect", {}, (422, "invalid_value", "object")),
        ("detect", {"object": ""}, (422, "invalid_value", "object")),
        ("detect", {"object": "x" * 4001}, (422, "prompt_too_long", "object")),
        ("detect", {"object": "it", "model": "gemma"}, (400, "task_not_supported", "model")),
        ("point", {"object": "it", "max_objects": "151"}, (422, "invalid_value", "max_objects")),
        ("point", {"object": "it", "max_objects": "1.5"}, (422, "invalid_value", "max_objects")),
    ],
)
def test_wrong_fields_are_named(task: str, fields: dict[str, Any], expected: tuple[int, str, str]) -> None:
    doors = Doors()
    assert error(doors.upload(task, PICTURE, **fields)) == expected
    assert not any(doors.calls(name) for name in doors.proxies)


def test_a_file_where_a_text_belongs() -> None:
    files = {"file": ("a.png", PICTURE), "question": ("q.txt", b"What?")}
    assert error(Doors().send("/upload/query", files=files)) == (422, "invalid_value", "question")


@pytest.mark.parametrize(
    ("task", "query"), [("detect", "format=yolo"), ("point", "format=coco"), ("point", "annotate=x")]
)
def test_a_view_that_there_is_not(task: str, query: str) -> None:
    doors = Doors()
    name, _, value = query.partition("=")
    answer = doors.upload(task, PICTURE, params={name: value}, object="it")
    assert error(answer) == (422, "invalid_value", name)
    assert not doors.calls("moondream")


def test_the_limits_are_those_of_the_settings() -> None:
    doors = Doors(max_file_bytes=len(PICTURE) - 1)
    assert error(doors.upload("caption", PICTURE)) == (413, "file_too_large", "file")
    assert error(Doors(max_pixels=20 * 10 - 1).upload("caption", PICTURE)) == (413, "image_too_large", "file")
    assert error(Doors(min_side=11).upload("caption", PICTURE)) == (422, "image_too_small", "file")
