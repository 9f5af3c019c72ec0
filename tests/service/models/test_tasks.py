"""Captions, collective captions, questions and flags of the running service, by every model whose weights are here."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

import bentoml
import httpx
import pytest

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES
from samples.world import scenes
from tests.service.routes.test_captioning import error, post
from tests.support import pictures
from tests.support.serving import Service, serve

COLLECTIVE = "/api/caption-collective-images"
RIGHT = 0.9  # of small samples; how good the weights are is measured elsewhere


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def able(task: Task) -> list[str]:
    return [
        name
        for name, entry in REGISTRY.items()
        if task in entry.tasks and (SAMPLES / name / "model.safetensors").is_file()
    ]


def drawn(name: str, count: int) -> list[tuple[scenes.Scene, bytes]]:
    found = []
    for number in range(count):
        rng = random.Random(f"tasks:{name}:{number}")
        scene = scenes.compose(rng, sides=(120, 320))
        found.append((scene, scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))))
    return found


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def together(service: Service, *files: tuple[str, bytes], **params: Any) -> httpx.Response:
    return service.client.post(COLLECTIVE, params=params, files=[("images", file) for file in files])


def share(right: list[bool]) -> float:
    return sum(right) / len(right)


@pytest.mark.parametrize("model", able(Task.CAPTION))
def test_every_model_captions(service: Service, model: str) -> None:
    found = drawn("captions", 20)
    results = post(service, *(("a.png", data) for _, data in found), model=model).json()["results"]
    assert {(result["model"], result["weights"], result["flag_evaluated"]) for result in results} == {
        (model, "sample", False)
    }
    pairs = zip(found, results, strict=True)
    assert share([result["caption"] == scene.caption() for (scene, _), result in pairs]) >= RIGHT


@pytest.mark.parametrize("model", able(Task.QUERY))
def test_flags_come_with_the_captions_in_one_call(service: Service, model: str) -> None:
    found = drawn("flags", 20)
    files = [("a.png", data) for _, data in found]
    params = {"model": model, "flag_caption_prompt": "Is there a circle?"}
    results = post(service, *files, **params).json()["results"]
    truth = [any(thing.shape == "circle" for thing in scene.things) for scene, _ in found]
    assert {True, False} == set(truth)
    assert [result["flag_evaluated"] for result in results] == [True] * 20
    assert share([result["flagged"] is there for result, there in zip(results, truth, strict=True)]) >= RIGHT
    again = post(service, *files, **params)
    assert again.json()["results"] == [{**result, "cache": True} for result in results]
    assert 'cache;desc="40/40"' in again.headers["server-timing"]


@pytest.mark.parametrize("model", able(Task.QUERY))
def test_questions_are_answered(service: Service, model: str) -> None:
    right = []
    with bentoml.SyncHTTPClient(service.url) as client:
        for scene, data in drawn("questions", 10):
            for question, truth in (
                ("How many shapes are there?", ("one", "two", "three")[len(scene.things) - 1]),
                (f"Is there a {scene.things[0].name}?", "yes"),
            ):
                answer = client.query(image=encoded(data), question=question, model=model)
                assert (answer["status"], answer["model"], answer["cache"]) == ("success", model, False)
                right.append(answer["answer"] == truth)
        assert client.query(image=encoded(data), question=question, model=model) == {**answer, "cache": True}
        short = client.query(image=encoded(data), question=question, model=model, max_new_tokens=5)
        assert (short["answer"], short["cache"]) == (answer["answer"], False)
    assert share(right) >= RIGHT


@pytest.mark.parametrize("model", able(Task.COLLECTIVE))
def test_several_pictures_have_one_caption(service: Service, model: str) -> None:
    right = []
    found = drawn("collective", 20)
    for (one, first), (other, second) in zip(found[::2], found[1::2], strict=True):
        body = together(service, ("1.png", first), ("2.png", second), model=model).json()
        assert (body["count"], body["cache"], body["model"], body["weights"]) == (2, False, model, "sample")
        right.append(body["collective_caption"] == f"{one.caption()}; {other.caption()}")
    assert share(right) >= 0.8
    assert together(service, ("1.png", first), ("2.png", second), model=model).json() == {**body, "cache": True}
    assert together(service, ("2.png", second), ("1.png", first), model=model).json()["cache"] is False
    with bentoml.SyncHTTPClient(service.url) as client:
        assert client.collective(images=[encoded(first), encoded(second)], model=model) == {**body, "cache": True}
    flagged = together(service, ("1.png", first), ("2.png", second), model=model, flag_caption_prompt="Is there a cat?")
    assert flagged.json()["flag_evaluated"] is True
    assert flagged.json()["cache"] is True


@pytest.mark.parametrize("model", able(Task.COLLECTIVE))
def test_a_picture_that_is_damaged_inside_fails_its_collection_by_name(service: Service, model: str) -> None:
    data, _ = pictures.scene("collective-damaged")
    response = together(service, ("good.png", data), ("bad.jpg", pictures.truncated()), model=model)
    assert error(response) == (400, "corrupt_image")
    assert response.json()["detail"].startswith("'bad.jpg': ")


def test_blip_sees_one_picture_and_answers_no_questions(service: Service) -> None:
    data, caption = pictures.scene("blip-only")
    refused = together(service, ("a.png", data), model="blip")
    assert error(refused) == (400, "task_not_supported")
    assert "gemma, intern_vlm" in refused.json()["detail"]
    query = service.client.post("/query", json={"image": encoded(data), "question": "What?", "model": "blip"})
    assert error(query) == (400, "task_not_supported")
    result = post(service, ("a.png", data), model="blip", flag_caption_prompt="Is there a dog?").json()["results"][0]
    assert (result["caption"], result["flagged"], result["flag_evaluated"]) == (caption, False, False)


def test_a_bad_file_fails_a_collective_caption_by_its_name(service: Service) -> None:
    data, _ = pictures.scene("collective-bad")
    response = together(service, ("good.png", data), ("notes.txt", pictures.TEXT), ("empty.png", b""))
    assert error(response) == (415, "unsupported_image_type")
    assert response.json()["detail"].startswith("'notes.txt': ")
    assert error(together(service, *[("a.png", data)] * 33)) == (413, "too_many_files")


def test_bentomls_own_client_captions_several_pictures_by_name(service: Service) -> None:
    drawings = [pictures.scene(f"several-{number}") for number in range(2)]
    with bentoml.SyncHTTPClient(service.url) as client:
        answer = client.caption_images(
            images=[
                encoded(drawings[0][0]),
                f"data:image/png;base64,{encoded(drawings[1][0])}",
                encoded(pictures.TEXT),
            ],
            model="blip",
            caption_prompt="a photo of",
            flag_caption_prompt="",
        )
    first, second, bad = answer["results"]
    assert [first["caption"], second["caption"]] == [caption for _, caption in drawings]
    assert [result["filename"] for result in answer["results"]] == ["images.0", "images.1", "images.2"]
    assert bad["error"]["code"] == "unsupported_image_type"


NATIVE = ["/caption", "/query", "/detect", "/point", "/caption_images", "/collective"]
HOSTILE: list[tuple[bytes, set[int]]] = [
    (b"", {422}),
    (b"{", {400}),
    (b"[]", {400}),
    (b"null", {400}),
    (b"\xff\xfe", {400}),
    (b"[" * 200_000, {400}),
    (b'{"images":' + b"[" * 200_000, {400}),
    (b'{"image":' + b"9" * 6_000 + b"}", {400}),
    (b'{"images":[' + b"1," * 500_000 + b'1],"image":1}', {422}),
    (b'{"image":NaN,"images":NaN}', {422}),
    (b'{"image":null,"images":null,"question":null,"object":null}', {422}),
    (b'{"image":{},"images":{"a":1},"question":[],"object":[]}', {422}),
    (b'{"image":"a","images":"a","question":7,"object":7}', {400, 422}),
    (b'{"image":"a","images":["a"],"question":"x","model":7}', {422}),
    (b'{"image":"a","images":["a"],"question":"x","model":"\\u0000"}', {400, 422}),
    (
        b'{"image":"a","images":["a"],"question":"\\ud800","prompt":"\\ud800","caption_prompt":"\\ud800","object":"\\ud800"}',
        {400, 422},
    ),
    (b'{"image":"\\ud800","images":["\\ud800"],"question":"x"}', {400, 422}),
    (b'{"image":"","images":[],"question":"x"}', {400, 422}),
    (b'{"image":"a","images":[""],"question":"x","max_new_tokens":0}', {400, 422}),
    (b'{"image":"a","images":["a"],"question":"x","max_new_tokens":1e400}', {400, 422}),
]


@pytest.mark.parametrize("path", NATIVE)
@pytest.mark.parametrize(("body", "statuses"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bodies_are_the_callers_mistake(service: Service, path: str, body: bytes, statuses: set[int]) -> None:
    response = service.client.post(path, content=body, headers={"content-type": "application/json"})
    assert error(response)[0] in statuses


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("path", NATIVE)
def test_forms_are_no_json(service: Service, path: str, kind: str) -> None:
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("image", '"a"'), ("question", '"x"'), ("images", '["a"]'), ("model", '"\\ud800"'))
    )
    response = service.client.post(path, content=f"{parts}--x--\r\n", headers={"content-type": kind})
    assert error(response)[0] in (400, 415, 422)


@pytest.fixture(scope="module")
def short() -> Iterator[Service]:
    """A service that writes two new tokens at most."""
    with serve(redis_url="", LOOKSEE_MAX_NEW_TOKENS="2") as running:
        yield running


def test_the_limit_of_new_tokens_holds_for_every_answer(short: Service) -> None:
    data, caption = pictures.scene("limit")
    first = " ".join(caption.split()[:2])
    assert post(short, ("a.png", data)).json()["results"][0]["caption"] == first
    body = {"image": encoded(data), "model": "blip"}
    assert short.client.post("/caption", json=body).json()["caption"] == first
    assert short.client.post("/caption", json={**body, "max_new_tokens": 1}).json()["caption"] == first.split()[0]
    refused = short.client.post("/caption", json={**body, "max_new_tokens": 3})
    assert error(refused) == (422, "invalid_value")
    assert refused.json()["error"]["param"] == "max_new_tokens"
