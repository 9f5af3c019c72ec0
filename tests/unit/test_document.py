"""The document: every native route and route for pictures has an example, and the examples are true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api import examples
from api.captions import Captions
from api.collective import Collective
from api.document import document
from models.catalog import CATALOG
from settings import Settings
from tests.unit.doors import Doors, content
from vision.images import ImageLimits, from_base64
from vision.tags import tags
from vision.tasks import Task

NATIVE = ("/caption", "/query", "/caption_images", "/collective")


def made() -> dict[str, Any]:
    operation = {
        "responses": {"200": {"content": {"application/json": {"schema": {}}}}, "400": {}},
        "requestBody": {"content": {"application/json": {"schema": {}}}},
    }
    native = {path: {"post": json.loads(json.dumps(operation))} for path in NATIVE}
    paths: dict[str, Any] = document(Doors().app, native)["paths"]
    return paths


@pytest.mark.parametrize("path", [*NATIVE, "/api/caption-images", "/api/caption-collective-images"])
def test_a_route_shows_what_it_takes_and_what_it_answers(path: str) -> None:
    operation = made()[path]["post"]
    assert operation["responses"]["200"]["content"]["application/json"]["example"] == examples.ANSWERS[path]
    assert set(operation["responses"]) == {"200", "default"}
    if path in NATIVE:
        assert operation["requestBody"]["content"]["application/json"]["example"] == examples.REQUESTS[path]
    else:
        assert "images" in str(operation["requestBody"]["content"]["multipart/form-data"]["schema"])


def test_uploads_name_the_models_that_can() -> None:
    def models(path: str) -> str:
        parameters = made()[path]["post"]["parameters"]
        return str(next(one["description"] for one in parameters if one["name"] == "model"))

    assert models("/api/caption-images") == "one of: blip, blip2, gemma, intern_vlm, moondream"
    assert models("/api/caption-collective-images") == "one of: gemma, intern_vlm"


def test_every_example_has_a_route() -> None:
    assert set(examples.REQUESTS) | set(examples.ANSWERS) <= set(made())


def test_the_examples_are_accepted_and_answered_as_shown() -> None:
    settings = Settings.model_construct()
    limits = ImageLimits(settings.max_file_bytes, settings.max_pixels, settings.min_side)
    assert from_base64(examples.PICTURE, limits).media_type == "image/png"
    doors = Doors()
    for path, answer in (
        ("/caption", doors.caption(**examples.REQUESTS["/caption"])),
        ("/query", doors.query(**examples.REQUESTS["/query"])),
        ("/caption_images", doors.native(Task.CAPTION, **examples.REQUESTS["/caption_images"])),
        ("/collective", doors.native(Task.COLLECTIVE, **examples.REQUESTS["/collective"])),
    ):
        assert answer.status_code == 200
        shown = examples.ANSWERS[path]
        assert set(content(answer)) == set(shown)
        assert shown.get("model", "gemma") in CATALOG


def test_the_answers_shown_are_of_their_schema() -> None:
    for path in ("/api/caption-images", "/caption_images"):
        assert Captions(**examples.ANSWERS[path]).model_dump() == examples.ANSWERS[path]
    shown = examples.ANSWERS["/collective"]
    assert Collective(**shown).model_dump() == shown
    assert tags(shown["collective_caption"]) == shown["tags"]
