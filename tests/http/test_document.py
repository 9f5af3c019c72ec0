"""The document: every native route and route for pictures has an example, and the examples are true."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from looksee.core.images import ImageLimits, from_base64
from looksee.core.tags import tags
from looksee.core.tasks import Task
from looksee.http import examples
from looksee.http.apis.captions import Captions
from looksee.http.apis.collective import Collective
from looksee.http.app import ROUTES
from looksee.http.document import document
from looksee.http.inputs import bodies
from looksee.http.skills.caption import Caption
from looksee.http.skills.classify import Classification
from looksee.http.skills.detect import Detections
from looksee.http.skills.point import Points
from looksee.http.skills.query import QueryAnswer
from looksee.models.registry import REGISTRY
from looksee.settings import Settings
from tests.http.app import Doors, content

MOONDREAM = ("/caption", "/query", "/detect", "/point", "/classify")
NATIVE = (*MOONDREAM, "/caption_images", "/collective")
UPLOADS = tuple(f"/upload{path}" for path in MOONDREAM)


def made() -> dict[str, Any]:
    operation = {
        "responses": {"200": {"content": {"application/json": {"schema": {}}}}, "400": {}},
        "requestBody": {"content": {"application/json": {"schema": {}}}},
    }
    native = {path: {"post": json.loads(json.dumps(operation))} for path in NATIVE}
    paths: dict[str, Any] = document(Doors().app, ROUTES, native)["paths"]
    return paths


@pytest.mark.parametrize("path", [*NATIVE, *UPLOADS, "/api/caption-images", "/api/caption-collective-images"])
def test_a_route_shows_what_it_takes_and_what_it_answers(path: str) -> None:
    operation = made()[path]["post"]
    assert operation["responses"]["200"]["content"]["application/json"]["example"] == examples.ANSWERS[path]
    assert set(operation["responses"]) == {"200", "default"}
    if path in NATIVE:
        assert operation["requestBody"]["content"]["application/json"]["example"] == examples.REQUESTS[path]
    else:
        schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert schema["required"][0] == ("file" if path in UPLOADS else "images")


@pytest.mark.parametrize(
    ("path", "schema"),
    [("/caption", "Error"), ("/api/generate", "PlainError"), ("/api/v1/vision/caption", "PlainError")],
)
def test_errors_are_described_as_they_are_there(path: str, schema: str) -> None:
    described = made()[path]["post"]["responses"]["default"]["content"]["application/json"]["schema"]
    assert described == {"$ref": f"#/components/schemas/{schema}"}


def test_the_chat_shows_what_it_takes_and_what_it_answers() -> None:
    path = "/v1/chat/completions"
    operation = made()[path]["post"]
    body = operation["requestBody"]["content"]["application/json"]
    assert body["example"] == examples.REQUESTS[path]
    assert body["schema"] == {"$ref": "#/components/schemas/ChatBody"}
    assert {"messages"} == set(bodies.SCHEMAS["ChatBody"]["required"])
    assert operation["responses"]["200"]["content"]["application/json"]["example"] == examples.ANSWERS[path]
    answer = Doors().send(path, json=examples.REQUESTS[path])
    assert answer.status_code == 200
    assert set(content(answer)) == set(examples.ANSWERS[path])


def test_bodies_refer_to_nothing_that_is_not_there() -> None:
    found = document(Doors().app, ROUTES, {})
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(found)))
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in found["components"]["schemas"], reference


def test_uploads_name_the_models_that_can() -> None:
    def models(path: str) -> str:
        parameters = made()[path]["post"]["parameters"]
        return str(next(one["description"] for one in parameters if one["name"] == "model"))

    assert models("/api/caption-images") == "one of: blip, blip2, gemma, intern_vlm, moondream"
    assert models("/api/caption-collective-images") == "one of: gemma, intern_vlm"


def test_what_takes_a_clients_key_says_so() -> None:
    paths = made()
    for path in ("/caption", "/collective", "/api/caption-images", "/v1/models"):
        assert all(operation["security"] == [{}, {"key": []}] for operation in paths[path].values())
    for path in ("/health", "/api/admin/cache"):
        assert all("security" not in operation for operation in paths[path].values())


def test_a_batch_shows_lines_and_refers_to_what_is_there() -> None:
    paths = made()
    operation = paths["/v1/batch"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["example"] == examples.REQUESTS["/v1/batch"]
    answered = Doors().send("/v1/batch", json=examples.REQUESTS["/v1/batch"])
    assert answered.headers["content-type"] in operation["responses"]["200"]["content"]
    by_index = [
        {line.get("index"): line for line in map(json.loads, text.splitlines())}
        for text in (answered.text, examples.BATCH)
    ]
    found, shown = ({index: (set(line), line.get("status")) for index, line in each.items()} for each in by_index)
    assert found == shown


def test_what_is_referred_to_is_there() -> None:
    described = document(Doors().app, ROUTES, {})
    text = json.dumps(described)
    assert "$defs" not in text
    schemas = described["components"]["schemas"]
    assert {"BatchItem", "SettingsBody"} <= set(schemas)
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(schemas)


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
        ("/detect", doors.detect(**examples.REQUESTS["/detect"])),
        ("/point", doors.point(**examples.REQUESTS["/point"])),
        ("/classify", doors.classify(**examples.REQUESTS["/classify"])),
        ("/caption_images", doors.native(Task.CAPTION, **examples.REQUESTS["/caption_images"])),
        ("/collective", doors.native(Task.COLLECTIVE, **examples.REQUESTS["/collective"])),
    ):
        assert answer.status_code == 200
        shown = examples.ANSWERS[path]
        assert set(content(answer)) == set(shown)
        assert shown.get("model", "gemma") in REGISTRY


@pytest.mark.parametrize(
    ("path", "formats"), [("/detect", ["normalized", "pixel", "coco"]), ("/point", ["normalized", "pixel"])]
)
def test_json_and_form_are_described_alike(path: str, formats: list[str]) -> None:
    paths = made()
    native, form = paths[path]["post"], paths[f"/upload{path}"]["post"]
    assert native["parameters"] == form["parameters"]
    assert native["responses"] == form["responses"]
    parameters = {one["name"]: one for one in native["parameters"]}
    assert set(parameters) == {"format", "annotate"}
    assert {one["in"] for one in parameters.values()} == {"query"}
    assert parameters["format"]["schema"]["enum"] == formats
    assert set(native["responses"]["200"]["content"]) == {"application/json", "image/png"}


@pytest.mark.parametrize("path", MOONDREAM)
def test_a_form_asks_for_what_json_asks_for(path: str) -> None:
    schema = made()[f"/upload{path}"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(examples.REQUESTS[path]) - {"image"} <= set(schema["properties"])
    assert set(schema["required"]) - {"file"} <= set(examples.REQUESTS[path])
    assert schema["properties"]["model"]["default"] == "moondream"
    assert schema["properties"]["model"]["description"].endswith("moondream")


def test_the_answers_shown_are_of_their_schema() -> None:
    for path, kind in zip(MOONDREAM, (Caption, QueryAnswer, Detections, Points, Classification), strict=True):
        shown = examples.ANSWERS[path]
        assert kind(**shown).model_dump(exclude_unset=True) == shown == examples.ANSWERS[f"/upload{path}"]
    for path in ("/api/caption-images", "/caption_images"):
        assert Captions(**examples.ANSWERS[path]).model_dump() == examples.ANSWERS[path]
    shown = examples.ANSWERS["/collective"]
    assert Collective(**shown).model_dump() == shown
    assert tags(shown["collective_caption"]) == shown["tags"]


def shown(schema: dict[str, Any]) -> Any:
    """What the documents' page puts into a field by itself; None for nothing. Seen in Swagger UI 5.32."""
    named = (schema.get("example"), *schema.get("examples", ()), schema.get("default"), *schema.get("enum", ()))
    return next((value for value in (*named, schema.get("minimum")) if value is not None), None)


def counts(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema of a whole number with a minimum, below this one."""
    if isinstance(node, dict):
        if "minimum" in node and {"type": "integer"} in ({"type": node.get("type")}, *node.get("anyOf", ())):
            yield node
        for value in node.values():
            yield from counts(value)
    elif isinstance(node, list):
        for value in node:
            yield from counts(value)


def test_no_number_is_shown_as_its_minimum() -> None:
    found = list(counts([made(), bodies.SCHEMAS]))
    assert len(found) > 8
    for schema in found:
        unless_default = {schema["minimum"]} - {schema.get("default")}
        assert shown(schema) not in (None, *unless_default), schema


@pytest.mark.parametrize("path", UPLOADS)
def test_what_the_page_fills_in_asks_for_what_is_asked_without_it(path: str) -> None:
    operation = made()[path]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    fields = {name: shown(schema) for name, schema in form["properties"].items() if name != "file"}
    choices = form.get("oneOf", [{"required": []}])
    needed = {name: fields[name] for name in (*form["required"], *choices[0]["required"]) if name != "file"}
    assert set(fields) > set(needed)
    query = {one["name"]: shown(one["schema"]) for one in operation.get("parameters", ())}
    data = base64.b64decode(examples.PICTURE.partition(",")[2])
    jobs, answers = [], []
    for sent, params in ((fields, query), (needed, {})):
        doors = Doors()
        given = {name: str(value) for name, value in params.items()}
        answer = doors.send(path, params=given, files={"file": ("a.png", data)}, data=sent)
        assert answer.status_code == 200, answer.text
        answers.append(answer.json())
        jobs.append(doors.calls("moondream"))
    assert jobs[0] == jobs[1]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("path", ["/api/caption-images", "/api/caption-collective-images"])
def test_a_list_of_pictures_needs_no_parameter_that_the_page_fills_in(path: str) -> None:
    """Texts have a default, which it shows rather than their example."""
    for one in made()[path]["post"]["parameters"]:
        assert one["required"] is False
        assert "default" in one["schema"], one
