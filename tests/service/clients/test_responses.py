"""The Responses API by the unmodified `openai` package, and Anthropic's by its wire, against the running service."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from samples.world import scenes
from tests.support.serving import Service

COUNT = "How many shapes are there?"


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0, timeout=90) as client:
        yield client


def drawn(seed: str) -> tuple[bytes, str]:
    """A picture of a scene, and how many things are in it."""
    rng = random.Random(f"responses:{seed}")
    scene = scenes.compose(rng, sides=(160, 480))
    return scenes.encode(scenes.draw(scene, rng), rng), scenes.NUMBERS[len(scene.things) - 1]


def asked(picture: bytes, words: str = COUNT) -> Any:
    uri = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    parts = [{"type": "input_text", "text": words}, {"type": "input_image", "image_url": uri, "detail": "auto"}]
    return [{"role": "user", "content": parts}]


@pytest.mark.parametrize("model", ["blip2", "gemma", "intern_vlm", "moondream"])
def test_a_question_whole_and_in_pieces(client: OpenAI, model: str) -> None:
    picture, number = drawn(model)
    with client.responses.stream(model=model, input=asked(picture)) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_response()
    assert kinds.count("response.output_text.delta") >= 1
    whole = client.responses.create(model=model, input=asked(picture))
    assert whole.output_text == streamed.output_text == number
    assert whole.usage == streamed.usage
    assert whole.usage is not None
    assert whole.usage.input_tokens > 15


def test_the_async_client(service: Service) -> None:
    async def main() -> list[str]:
        async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
            work = [client.responses.create(model="gemma", input=asked(drawn(str(seed))[0])) for seed in range(4)]
            return [answer.output_text for answer in await asyncio.gather(*work)]

    assert asyncio.run(main()) == [drawn(str(seed))[1] for seed in range(4)]


def test_what_is_stored_elsewhere_is_not_here(client: OpenAI) -> None:
    made = client.responses.create(model="gemma", input="Who are you?", max_output_tokens=3)
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError, match="Nothing is stored here"):
            ask(made.id)
    with pytest.raises(openai.BadRequestError, match="Nothing is stored here"):
        client.responses.create(model="gemma", input="And?", previous_response_id=made.id)


def message(picture: bytes, **more: Any) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(picture).decode()}
    content = [{"type": "image", "source": source}, {"type": "text", "text": COUNT}]
    return {"model": "gemma", "max_tokens": 20, "messages": [{"role": "user", "content": content}], **more}


def test_anthropics_messages(service: Service) -> None:
    picture, number = drawn("anthropic")
    headers = {"x-api-key": "none", "anthropic-version": "2023-06-01"}
    answer = service.client.post("/v1/messages", json=message(picture), headers=headers).json()
    assert [block["text"] for block in answer["content"]] == [number]
    with service.client.stream("POST", "/v1/messages", json=message(picture, stream=True), headers=headers) as stream:
        events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta") == number
    assert events[-2]["usage"] == answer["usage"]


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/v1/messages", {"model": "claude", "max_tokens": 5, "messages": []}, 400, "invalid_request_error"),
        ("/v1/messages", {**message(b""), "model": "claude"}, 404, "not_found_error"),
        ("/v1/messages/count_tokens", {}, 501, "api_error"),
    ],
    ids=str,
)
def test_errors_are_as_anthropics_clients_read_them(
    service: Service, path: str, body: dict[str, Any], status: int, kind: str
) -> None:
    answer = service.client.post(path, json=body)
    assert (answer.status_code, answer.json()["type"], answer.json()["error"]["type"]) == (status, "error", kind)
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
