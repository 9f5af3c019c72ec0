"""Every example of the document, sent to the real service: it is answered as the document shows."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from looksee.http import examples
from tests.support.serving import Service

DATA = base64.b64decode(examples.PICTURE.partition(",")[2])
# What differs from one time to the next, or from one training of the weights to the next.
OWN = {"cache", "revision", "request_id", "id", "created", "usage", "system_fingerprint", "model", "weights"}
OWN |= {"created_at", "completed_at"}
NEARLY = 0.03  # of the picture's sides


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


@pytest.fixture(scope="module")
def paths(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get("/openapi.json").json()["paths"]
    return found


def said(answer: Any) -> Any:
    """An answer without what is its own, and with places that need not be exact."""
    if isinstance(answer, dict):
        return {name: said(value) for name, value in answer.items() if name not in OWN}
    if isinstance(answer, list):
        return [said(value) for value in answer]
    return pytest.approx(answer, abs=NEARLY) if isinstance(answer, float) else answer


def test_every_json_example_is_answered_as_it_is_shown(service: Service, paths: dict[str, Any]) -> None:
    asked = 0
    for path, operations in paths.items():
        body = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if path == "/v1/batch" or "example" not in body:
            continue
        answer = service.client.post(path, json=body["example"])
        assert answer.status_code == 200, (path, answer.text)
        shown = operations["post"]["responses"]["200"]["content"]["application/json"]["example"]
        assert said(answer.json()) == said(shown), path
        asked += 1
    assert asked == len(examples.REQUESTS) - 1


def test_the_batch_example_is_answered_as_it_is_shown(service: Service, paths: dict[str, Any]) -> None:
    body = paths["/v1/batch"]["post"]["requestBody"]["content"]["application/json"]["example"]
    answer = service.client.post("/v1/batch", json=body)
    assert answer.status_code == 200
    lines, shown = (
        sorted(map(json.loads, text.splitlines()), key=lambda line: line.get("index", 99))
        for text in (answer.text, examples.BATCH)
    )
    assert said(lines) == said(shown)


@pytest.mark.parametrize("path", ["/upload/caption", "/upload/query", "/upload/detect", "/upload/point"])
def test_a_form_that_the_page_filled_in_is_answered_as_it_is_shown(
    path: str, service: Service, paths: dict[str, Any]
) -> None:
    operation = paths[path]["post"]
    properties = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    fields = {
        name: (schema.get("examples") or [schema.get("default", schema.get("minimum"))])[0]
        for name, schema in properties.items()
        if name != "file"
    }
    answer = service.client.post(path, files={"file": ("sample.png", DATA)}, data=fields)
    assert answer.status_code == 200, answer.text
    assert said(answer.json()) == said(operation["responses"]["200"]["content"]["application/json"]["example"])


def test_lists_of_files_are_answered_as_it_is_shown(service: Service, paths: dict[str, Any]) -> None:
    good, bad = ("images", ("sample.png", DATA)), ("images", ("notes.txt", b"notes"))
    for path, files in (("/api/caption-images", [good, bad]), ("/api/caption-collective-images", [good, good])):
        params = {"model": "gemma", "flag_caption_prompt": "Is there a square?"}
        answer: httpx.Response = service.client.post(path, files=files, params=params)
        assert answer.status_code == 200, answer.text
        shown = paths[path]["post"]["responses"]["200"]["content"]["application/json"]["example"]
        assert said(answer.json()) == said(shown), path


@pytest.mark.parametrize("model", ["blip", "blip2", "gemma", "intern_vlm", "moondream"])
def test_every_model_reads_the_picture_rightly(model: str, service: Service) -> None:
    answer = service.client.post("/caption", json={"image": examples.PICTURE, "model": model})
    assert answer.json()["caption"] == "a red square"
