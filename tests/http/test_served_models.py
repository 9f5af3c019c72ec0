"""A deployment that has some of the models: the others are refused by every way in, with the names of those it has."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from looksee.http.app import ROUTES
from looksee.http.document import document
from looksee.models.registry import ALIASES, REGISTRY, serve_only
from runners.services import runner_services
from tests.http.app import Doors, content, error
from tests.support.files import plain
from tests.support.loops import run

HERE = ["blip", "gemma"]
IMAGE = base64.b64encode(plain()).decode()
URL = f"data:image/png;base64,{IMAGE}"
CHAT = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]}]
FILE = {"file": ("a.png", plain())}
FILES = [("images", ("a.png", plain()))]


@pytest.fixture(autouse=True)
def some() -> Iterator[None]:
    serve_only(HERE)
    yield
    serve_only(list(REGISTRY))


@pytest.fixture
def doors() -> Doors:
    found = Doors(debug=True)
    for name in REGISTRY:
        if name not in HERE:
            del found.answering.runners[name]  # type: ignore[attr-defined]
    return found


def get(doors: Doors, path: str) -> httpx.Response:
    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(doors.app), base_url="http://looksee") as client:
            return await client.get(path)

    return run(main())


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"json": {"model": "moondream", "messages": CHAT}}),
    "chat, another name": ("/v1/chat/completions", {"json": {"model": "moondream2", "messages": CHAT}}),
    "chat, streamed": ("/v1/chat/completions", {"json": {"model": "moondream", "messages": CHAT, "stream": True}}),
    "caption": ("/v1/caption", {"json": {"model": "intern_vlm", "image_url": URL}}),
    "caption, no name": ("/v1/caption", {"json": {"image_url": URL}}),  # the route's own model is not here
    "query": ("/v1/query", {"json": {"model": "blip2", "image_url": URL, "question": "Who?"}}),
    "batch": ("/v1/batch", {"json": {"model": "blip2", "items": [{"image": IMAGE}]}}),
    "upload": ("/upload/caption", {"files": FILE, "data": {"model": "blip2"}}),
    "upload, no name": ("/upload/caption", {"files": FILE}),
    "captions": ("/api/caption-images", {"files": FILES, "params": {"model": "blip2"}}),
    "together": ("/api/caption-collective-images", {"files": FILES, "params": {"model": "intern_vlm"}}),
}


@pytest.mark.parametrize("way", REFUSED)
def test_a_model_that_is_not_here_is_refused_and_those_that_are_named(doors: Doors, way: str) -> None:
    path, how = REFUSED[way]
    answer = doors.send(path, **how)
    expected = (404, "model_not_found") if path == "/v1/chat/completions" else (422, "unknown_model")
    assert error(answer)[:2] == expected
    assert "blip, gemma." in content(answer)["detail"]
    assert not any(doors.calls(name) for name in REGISTRY)


def test_an_item_of_a_batch_is_refused_alone(doors: Doors) -> None:
    items = [{"image": IMAGE, "model": "blip2"}, {"image": IMAGE, "model": "blip"}]
    answer = doors.send("/v1/batch", json={"items": items})
    lines = sorted((json.loads(line) for line in answer.text.splitlines()[:2]), key=lambda line: int(line["index"]))
    assert [line["status"] for line in lines] == [422, 200]
    assert "blip, gemma." in lines[0]["error"]["message"]


def test_those_that_are_here_answer(doors: Doors) -> None:
    assert doors.send("/v1/caption", json={"model": "blip", "image_url": URL}).status_code == 200
    assert doors.send("/v1/chat/completions", json={"model": "gemma", "messages": CHAT}).status_code == 200


def test_only_those_are_listed(doors: Doors) -> None:
    assert [one["id"] for one in content(get(doors, "/v1/models"))["data"]] == HERE
    assert list(content(get(doors, "/api/admin/models"))["models"]) == HERE
    assert list(content(get(doors, "/health"))["models"]) == HERE


@pytest.mark.parametrize("name", sorted({*REGISTRY, *ALIASES} - set(HERE)))
def test_the_others_have_no_address(doors: Doors, name: str) -> None:
    answer = get(doors, f"/v1/models/{name}")
    assert error(answer)[:2] == (404, "model_not_found")
    assert content(answer)["detail"].endswith("blip, gemma.")
    for what in ("load", "unload"):
        assert doors.send(f"/api/admin/models/{name}/{what}").status_code == 404


def test_the_document_names_those_alone(doors: Doors) -> None:
    found = json.dumps(document(doors.app, ROUTES, {}))
    for name in ("blip2", "intern_vlm"):
        assert f'"{name}"' not in found
    assert "one of: blip, gemma" in found


def test_the_words_about_a_wrong_value_name_those_alone(doors: Doors) -> None:
    answer = doors.send("/v1/chat/completions", json={"model": 5, "messages": CHAT})
    assert error(answer)[0] == 400
    assert "blip2" not in content(answer)["detail"]


def test_the_others_have_no_process() -> None:
    assert list(runner_services()) == HERE
