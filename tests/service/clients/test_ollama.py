"""The unmodified `ollama` package against the running service, and requests as programs that speak it send them."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from looksee.models.registry import REGISTRY
from samples.world import scenes
from samples.world.scenes import Scene
from tests.support.serving import API_KEY, Service

COUNT = "How many shapes are there?"


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[ollama.Client]:
    with ollama.Client(service.url, timeout=90) as client:
        yield client


def drawn(seed: str) -> tuple[Scene, bytes, str]:
    """A scene, its picture, and how many things are in it."""
    rng = random.Random(f"ollama:{seed}")
    scene = scenes.compose(rng, sides=(160, 480))
    return scene, scenes.encode(scenes.draw(scene, rng), rng), scenes.NUMBERS[len(scene.things) - 1]


@pytest.mark.parametrize("model", REGISTRY)
def test_every_model_is_asked(client: ollama.Client, model: str) -> None:
    scene, picture, number = drawn(model)
    prompt = "" if model == "blip" else COUNT
    answer = client.generate(f"{model}:latest", prompt, images=[picture])
    assert answer.response == (scene.caption() if model == "blip" else number)
    assert answer.done_reason == "stop"
    assert answer.eval_count


def test_a_chat_in_pieces(client: ollama.Client) -> None:
    _, picture, number = drawn("pieces")
    message = {"role": "user", "content": COUNT, "images": [picture]}
    parts = list(client.chat("gemma3:4b", [message], stream=True))
    assert "".join(part.message.content or "" for part in parts) == number
    assert parts[-1].done
    assert client.chat("gemma3:4b", [message]).message.content == number


def test_the_async_client(service: Service) -> None:
    async def ask() -> list[str]:
        async with ollama.AsyncClient(service.url, timeout=90) as client:
            pictures = [drawn(str(number))[1] for number in range(4)]
            found = await asyncio.gather(*(client.generate("gemma", COUNT, images=[one]) for one in pictures))
            return [answer.response for answer in found]

    assert asyncio.run(ask()) == [drawn(str(number))[2] for number in range(4)]


def test_what_is_there(client: ollama.Client) -> None:
    assert {model.model for model in client.list().models} == {f"{name}:latest" for name in REGISTRY}
    assert "vision" in (client.show("gemma3:4b").capabilities or [])
    client.generate("blip", "")
    assert "blip:latest" in {model.model for model in client.ps().models}


@pytest.mark.parametrize(
    ("model", "options", "status", "words"),
    [
        ("llava", {}, 404, "moondream:latest"),
        ("gemma", {"options": {"mirostat": 2}}, 400, "mirostat"),
        ("gemma", {"images": [b"no picture"]}, 415, "picture"),
    ],
)
def test_errors_are_texts(client: ollama.Client, model: str, options: dict[str, Any], status: int, words: str) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        client.generate(model, COUNT, **options)
    assert refused.value.status_code == status
    assert words in refused.value.error
    assert not refused.value.error.startswith("{")


def test_weights_are_pulled_with_the_key_of_the_service(service: Service, client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        client.pull("blip")
    assert refused.value.status_code == 401
    with ollama.Client(service.url, headers={"Authorization": f"Bearer {API_KEY}"}) as operator:
        assert operator.pull("blip").status == "success"
        assert [part.status for part in operator.pull("blip", stream=True)][-1] == "success"


def test_what_is_not_offered(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="embeddings") as refused:
        client.embed("gemma", "a circle")
    assert refused.value.status_code == 501


def test_as_a_photo_library_asks_for_a_caption(service: Service) -> None:
    """A picture as base64, without a stream, with the sampling options that come with a model's file."""
    _, picture, number = drawn("library")
    body = {
        "model": "gemma3:latest",
        "prompt": COUNT,
        "images": [base64.b64encode(picture).decode()],
        "stream": False,
        "keep_alive": "15m",
        "options": {"temperature": 0.0, "top_p": 0.9, "top_k": 40, "num_ctx": 4096, "repeat_penalty": 1.0, "stop": []},
    }
    answer = service.client.post("/api/generate", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["response"] == number


def test_as_a_home_asks(service: Service) -> None:
    """A chat with a system prompt and an attachment, as a stream of lines; tools and thoughts are there and empty."""
    _, picture, number = drawn("home")
    attached = [base64.b64encode(picture).decode()]
    body = {
        "model": "gemma",
        "messages": [{"role": "user", "content": COUNT, "images": attached, "tool_calls": []}],
        "tools": [],
        "stream": True,
        "think": False,
        "keep_alive": "-1s",
        "options": {"num_ctx": 8192},
    }
    with service.client.stream("POST", "/api/chat", json=body) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert "".join(line["message"]["content"] for line in lines) == number
    assert lines[-1]["done_reason"] == "stop"
