"""Moondream2 of the running service: things found in drawn scenes, captions of three lengths, JSON and forms alike."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import bentoml
import httpx
import pytest
from PIL import Image, ImageChops

from looksee.models.weights.source import SAMPLES
from samples.world import finding
from samples.world.scenes import Scene, Thing
from tests.service.models.test_tasks import RIGHT, drawn, encoded, share
from tests.service.routes.test_captioning import error, post
from tests.support import pictures
from tests.support.serving import Service

pytestmark = [
    pytest.mark.skipif(
        not (SAMPLES / "moondream" / "model.safetensors").is_file(), reason="no sample weights of Moondream2"
    ),
]
CORNERS = ("x_min", "y_min", "x_max", "y_max")


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def asked(
    service: Service, path: str, data: bytes, *, params: Mapping[str, str] | None = None, **body: Any
) -> httpx.Response:
    return service.client.post(path, params=params, json={"image": encoded(data), **body})


def uploaded(
    service: Service, path: str, data: bytes, *, params: Mapping[str, str] | None = None, **body: Any
) -> httpx.Response:
    return service.client.post(f"/upload{path}", params=params, files={"file": ("a.png", data)}, data=body)


def searches(scene: Scene) -> list[tuple[str, tuple[Thing, ...]]]:
    """What is looked for, and what is there."""
    first = scene.things[0]
    return [(words, scene.find(words)) for words in (first.name, first.shape, "shape")]


def test_things_are_found(service: Service) -> None:
    boxes, points = [], []
    with bentoml.SyncHTTPClient(service.url) as client:
        for scene, data in drawn("moondream", 12):
            for words, things in searches(scene):
                answer = client.detect(image=encoded(data), object=words)
                assert (answer["status"], answer["model"], answer["weights"]) == ("success", "moondream", "sample")
                assert answer["count"] == len(answer["detections"])
                assert answer["image"] == {"width": scene.width, "height": scene.height}
                assert {one["label"] for one in answer["detections"]} <= {words}
                found = [tuple(one[side] for side in CORNERS) for one in answer["detections"]]
                assert all(0 <= value <= 1 for box in found for value in box)
                boxes.append(len(found) == len(things) == finding.matched(things, found))
                answer = client.point(image=encoded(data), object=words)
                assert answer["coordinates"]["count"] == len(answer["coordinates"]["points"])
                spots = [(one["x"], one["y"]) for one in answer["coordinates"]["points"]]
                points.append(finding.pointed(things, spots))
    assert share(boxes) >= RIGHT
    assert share(points) >= RIGHT


def test_what_is_not_there_is_not_found(service: Service) -> None:
    empty = []
    for scene, data in drawn("moondream-absent", 8):
        names = {thing.name for thing in scene.things}
        absent = next(
            name for name in ("red circle", "blue cross", "green triangle", "black square") if name not in names
        )
        empty.append(asked(service, "/detect", data, object=absent).json()["detections"] == [])
        empty.append(asked(service, "/point", data, object=absent).json()["coordinates"] == {"points": [], "count": 0})
    assert share(empty) >= 0.8


def test_captions_have_three_lengths(service: Service) -> None:
    right = []
    for scene, data in drawn("moondream-lengths", 10):
        for length, truth in (
            ("short", scene.short_caption()),
            ("normal", scene.caption()),
            ("long", scene.long_caption()),
        ):
            answer = asked(service, "/caption", data, length=length).json()
            assert (answer["status"], answer["model"], answer["cache"]) == ("success", "moondream", False)
            right.append(answer["caption"] == truth)
    assert share(right) >= RIGHT
    assert asked(service, "/caption", data).json()["cache"] is True
    assert post(service, ("a.png", data), model="moondream").json()["results"][0]["cache"] is True


def test_json_and_forms_are_answered_alike(service: Service) -> None:
    ((scene, data),) = drawn("moondream-forms", 1)
    thing = scene.things[0].name
    for path, body in (
        ("/caption", {"length": "long"}),
        ("/query", {"question": "How many shapes are there?"}),
        ("/detect", {"object": thing}),
        ("/point", {"object": "shape", "max_objects": 1}),
    ):
        native, form = asked(service, path, data, **body), uploaded(service, path, data, **body)
        assert native.status_code == form.status_code == 200
        assert form.json() == {**native.json(), "cache": True}
        assert "cache;desc" in form.headers["server-timing"]
    normal = asked(service, "/detect", data, object=thing).json()
    for kind in ("pixel", "coco"):
        params = {"format": kind}
        found = asked(service, "/detect", data, params=params, object=thing).json()
        assert found == uploaded(service, "/detect", data, params=params, object=thing).json()
        assert found["cache"] is True
        for one, other in zip(found["detections"], normal["detections"], strict=True):
            left, top, right, bottom = (
                other[side] * (scene.width, scene.height)[number % 2] for number, side in enumerate(CORNERS)
            )
            told = one["bbox"] if kind == "coco" else [one[side] for side in CORNERS]
            wanted = [left, top, right - left, bottom - top] if kind == "coco" else [left, top, right, bottom]
            assert told == pytest.approx(wanted, abs=0.006)
    assert asked(service, "/point", data, object="shape", max_objects=1).json()["coordinates"]["count"] == 1


def test_the_view_is_no_part_of_the_body(service: Service) -> None:
    ((_, data),) = drawn("moondream-view", 1)
    for extra in ({"format": "coco"}, {"annotate": True}):
        answer = asked(service, "/detect", data, object="shape", **extra)
        assert (*error(answer), answer.json()["error"]["param"]) == (400, "unsupported_parameter", next(iter(extra)))
    refused = asked(service, "/detect", data, params={"format": "yolo"}, object="shape")
    assert (*error(refused), refused.json()["error"]["param"]) == (422, "invalid_value", "format")


def test_annotated_pictures(service: Service) -> None:
    ((scene, data),) = drawn("moondream-annotated", 1)
    params = {"annotate": "true"}
    before = Image.open(io.BytesIO(data)).convert("RGB")
    for path in ("/detect", "/point"):
        native = asked(service, path, data, params=params, object="shape")
        assert native.headers["content-type"] == "image/png"
        picture = Image.open(io.BytesIO(native.content))
        assert picture.size == (scene.width, scene.height)
        assert ImageChops.difference(picture, before).getbbox()
        assert uploaded(service, path, data, params=params, object="shape").content == native.content


@pytest.mark.parametrize("path", ["/detect", "/point"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (422, "invalid_value", "object")),
        ({"object": 7}, (422, "invalid_value", "object")),
        ({"object": " "}, (422, "invalid_value", "object")),
        ({"object": "it", "image": "x"}, (400, "invalid_request", "image")),
        ({"object": "it", "image": base64.b64encode(pictures.TEXT).decode()}, (415, "unsupported_image_type", "image")),
        ({"object": "it", "model": "gemma"}, (400, "task_not_supported", "model")),
        ({"object": "it", "max_objects": 0}, (422, "invalid_value", "max_objects")),
        ({"object": "it", "max_objects": "many"}, (422, "invalid_value", "max_objects")),
    ],
)
def test_wrong_requests(service: Service, path: str, body: dict[str, Any], expected: tuple[int, str, str]) -> None:
    response = service.client.post(path, json={"image": encoded(pictures.tiny()), **body})
    assert (*error(response), response.json()["error"]["param"]) == expected


def test_uploads_are_refused_as_everywhere(service: Service) -> None:
    needed: dict[str, dict[str, Any]] = {"/caption": {}, "/query": {"question": "?"}, "/detect": {"object": "x"}}
    for path, fields in needed.items():
        for data, expected in (
            (b"", (400, "empty_file")),
            (pictures.TEXT, (415, "unsupported_image_type")),
            (pictures.bomb(), (413, "image_too_large")),
            (pictures.truncated(), (400, "corrupt_image")),
        ):
            assert error(uploaded(service, path, data, **fields)) == expected
    assert error(service.client.post("/upload/detect", json={})) == (415, "unsupported_media_type")
    assert error(service.client.get("/upload/detect")) == (405, "method_not_allowed")
    assert error(service.client.post("/upload/nothing")) == (404, "not_found")
