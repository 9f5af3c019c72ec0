"""The unmodified `openai` package against the running service: every model, whole and streamed, right and refused."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Iterator
from typing import Any

import moondream
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from looksee.models.registry import REGISTRY
from samples.world import scenes
from samples.world.scenes import Scene
from tests.support.serving import Service

CHATS = ("gemma", "intern_vlm")
ANSWERING = ("blip2", "gemma", "intern_vlm", "moondream")
COUNT = "How many shapes are there?"
NEITHER = {"type": "boolean", "not": {}}  # can be forced, and is never what was wanted


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0, timeout=90) as client:
        yield client


def drawn(count: int, *, things: int | None = None) -> list[tuple[Scene, bytes]]:
    found = []
    for number in range(count):
        rng = random.Random(f"openai:{number}:{things}")
        scene = scenes.compose(rng, count=things, sides=(160, 480))
        found.append((scene, scenes.encode(scenes.draw(scene, rng), rng)))
    return found


def user(*parts: str | bytes) -> Any:
    """A message of texts and pictures."""
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, bytes):
            uri = f"data:image/png;base64,{base64.b64encode(part).decode()}"
            content.append({"type": "image_url", "image_url": {"url": uri}})
        else:
            content.append({"type": "text", "text": part})
    return {"role": "user", "content": content}


def number(scene: Scene) -> str:
    return scenes.NUMBERS[len(scene.things) - 1]


def share(right: list[bool]) -> float:
    return sum(right) / len(right)


@pytest.mark.parametrize("model", REGISTRY)
def test_captions(client: OpenAI, model: str) -> None:
    right = []
    for scene, picture in drawn(10):
        completion = client.chat.completions.create(model=model, messages=[user(picture)])
        right.append(completion.choices[0].message.content == scene.caption())
        assert (completion.model, completion.choices[0].finish_reason) == (model, "stop")
        assert completion.id.startswith("chatcmpl-")
        assert (completion.system_fingerprint or "").startswith("fp_")
    assert share(right) >= 0.9


@pytest.mark.parametrize("model", ANSWERING)
def test_questions(client: OpenAI, model: str) -> None:
    """In the order of OpenAI's own examples: first the text, then the picture."""
    right = []
    for scene, picture in drawn(10):
        completion = client.chat.completions.create(model=model, messages=[user(COUNT, picture)])
        right.append(completion.choices[0].message.content == number(scene))
    assert share(right) >= 0.9


@pytest.mark.parametrize("model", ["blip", "blip2"])
def test_a_text_is_continued(client: OpenAI, model: str) -> None:
    scene, picture = drawn(1)[0]
    words = "a photo of" if model == "blip" else COUNT
    completion = client.chat.completions.create(model=model, messages=[user(words, picture)])
    assert completion.choices[0].message.content == (scene.caption() if model == "blip" else number(scene))


@pytest.mark.parametrize("model", REGISTRY)
def test_log_probabilities(client: OpenAI, model: str) -> None:
    """Of a caption that the package reads whole and in pieces; all models have learnt its words."""
    scene, data = drawn(1)[0]
    asked: Any = {"model": model, "messages": [user(data)], "logprobs": True, "top_logprobs": 2}
    choice = client.chat.completions.create(**asked).choices[0]
    told = choice.logprobs and choice.logprobs.content
    assert told
    said = b"".join(bytes(token.bytes or ()) for token in told).decode().strip()
    assert said.replace(" , ", ", ") == choice.message.content == scene.caption()  # BLIP has spaces before commas
    assert all(token.logprob == token.top_logprobs[0].logprob > token.top_logprobs[1].logprob for token in told)
    assert sum(token.logprob for token in told) / len(told) > -0.5
    chunks = list(client.chat.completions.create(**asked, stream=True))
    streamed = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices and chunk.choices[0].logprobs]
    assert [one.content for one in streamed] == [told]


@pytest.mark.parametrize("model", CHATS)
def test_several_pictures(client: OpenAI, model: str) -> None:
    right = []
    pairs = drawn(20)
    for (one, first), (other, second) in zip(pairs[:10], pairs[10:], strict=True):
        asked = user("Write one caption for all of the pictures together.", first, second)
        completion = client.chat.completions.create(model=model, messages=[asked])
        right.append(completion.choices[0].message.content == f"{one.caption()}; {other.caption()}")
    assert share(right) >= 0.8


@pytest.mark.parametrize("model", CHATS)
def test_instructions_and_history(client: OpenAI, model: str) -> None:
    """The sample weights have never seen a chat; they answer what is asked in one all the same, most often."""
    told, talked = [], []
    for scene, picture in drawn(12):
        system: Any = {"role": "system", "content": "You are a helpful assistant."}
        plain = client.chat.completions.create(model=model, messages=[user(picture, COUNT)])
        completion = client.chat.completions.create(model=model, messages=[system, user(picture, COUNT)])
        told.append(completion.choices[0].message.content == number(scene))
        assert completion.usage is not None
        assert plain.usage is not None
        assert completion.usage.prompt_tokens > plain.usage.prompt_tokens
        messages: Any = [user(picture), {"role": "assistant", "content": scene.caption()}, user(COUNT)]
        completion = client.chat.completions.create(model=model, messages=messages)
        talked.append(completion.choices[0].message.content == number(scene))
    assert share(told) >= 0.75
    assert share(talked) >= 0.6


@pytest.mark.parametrize("model", CHATS)
def test_an_answer_can_be_sent_back(client: OpenAI, model: str) -> None:
    _, picture = drawn(1)[0]
    messages: list[Any] = [user(picture)]
    message = client.chat.completions.create(model=model, messages=messages).choices[0].message
    for sent in (message, message.model_dump()):
        history: list[Any] = [*messages, sent, user(COUNT)]
        again = client.chat.completions.create(model=model, messages=history)
        assert again.choices[0].message.content


@pytest.mark.parametrize("model", REGISTRY)
def test_streams(client: OpenAI, model: str) -> None:
    scene, picture = next((scene, picture) for scene, picture in drawn(20) if len(scene.things) == 3)
    whole = client.chat.completions.create(model=model, messages=[user(picture)], seed=1, temperature=0.01)
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=[user(picture)],
            temperature=0.01,
            seed=2,  # drawn anew: not from the cache
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *told, last = chunks
    assert told[0].choices[0].delta.role == "assistant"
    pieces = [chunk.choices[0].delta.content for chunk in told if chunk.choices[0].delta.content]
    assert "".join(pieces) == whole.choices[0].message.content == scene.caption()
    assert len(pieces) > 3
    assert [chunk.choices[0].finish_reason for chunk in told] == [None] * (len(told) - 1) + ["stop"]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert last.choices == []
    assert last.usage == whole.usage
    assert all(chunk.usage is None for chunk in told)


def test_the_asynchronous_client(service: Service) -> None:
    async def main() -> None:
        async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:

            async def ask(model: str, scene: Scene, picture: bytes, *, stream: bool) -> bool:
                asked: Any = {"model": model, "messages": [user(picture)], "temperature": 0.01}
                if not stream:
                    completion = await client.chat.completions.create(**asked)
                    return bool(completion.choices[0].message.content == scene.caption())
                text = ""
                async for chunk in await client.chat.completions.create(**asked, stream=True):
                    text += chunk.choices[0].delta.content or ""
                return text == scene.caption()

            work = [
                ask(model, scene, picture, stream=stream)
                for model in REGISTRY
                for stream in (False, True)
                for scene, picture in drawn(4)
            ]
            assert share(await asyncio.gather(*work)) >= 0.9

    asyncio.run(main())


@pytest.mark.parametrize("model", REGISTRY)
def test_seeds(client: OpenAI, model: str) -> None:
    _, picture = drawn(1)[0]

    def draw(seed: int) -> Any:
        asked: Any = {"model": model, "messages": [user(picture)], "temperature": 2.0, "max_tokens": 8, "seed": seed}
        return client.chat.completions.create(**asked).choices[0].message.content

    answers = [draw(seed) for seed in range(5)]
    assert len(set(answers)) > 1
    assert [draw(seed) for seed in range(5)] == answers


@pytest.mark.parametrize("model", REGISTRY)
def test_stop_strings_and_limits(client: OpenAI, model: str) -> None:
    scene, picture = next((scene, picture) for scene, picture in drawn(20) if len(scene.things) == 2)
    asked: Any = {"model": model, "messages": [user(picture)]}
    completion = client.chat.completions.create(**asked, stop=["xyz", " and"])
    assert completion.choices[0].message.content == scene.caption().partition(" and")[0]
    assert completion.choices[0].finish_reason == "stop"
    completion = client.chat.completions.create(**asked, max_tokens=3)
    assert scene.caption().startswith(completion.choices[0].message.content or "?")
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3


@pytest.mark.parametrize("model", REGISTRY)
def test_usage_counts_pictures(client: OpenAI, model: str) -> None:
    _, picture = drawn(1)[0]

    def usage(*parts: str | bytes) -> int:
        found = client.chat.completions.create(model=model, messages=[user(*parts)], max_tokens=2).usage
        assert found is not None
        assert found.total_tokens == found.prompt_tokens + found.completion_tokens
        return found.prompt_tokens

    words = usage(picture, f"{COUNT} {COUNT}") - usage(picture, COUNT)
    assert 0 < words < 40
    assert usage(picture, COUNT) > 15
    if model in CHATS:
        assert usage(picture, picture, COUNT) - usage(picture, COUNT) == usage(picture, COUNT) - usage(COUNT) > 15


@pytest.mark.parametrize(
    ("options", "kind", "code", "param"),
    [
        ({"model": "gpt-4o"}, openai.NotFoundError, "model_not_found", "model"),
        ({"web_search_options": {}}, openai.BadRequestError, "unsupported_parameter", "web_search_options"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
            openai.BadRequestError,
            "unsupported_parameter",
            "tools",
        ),
        ({"temperature": 3}, openai.BadRequestError, "invalid_value", "temperature"),
        ({"messages": [user("a " * 1500)]}, openai.BadRequestError, "context_length_exceeded", "messages"),
        (
            {"messages": [user(b"no picture")]},
            openai.BadRequestError,
            "unsupported_image_type",
            "messages.0.content.0.image_url",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "no", "schema": NEITHER}}},
            openai.BadRequestError,
            "structured_output_failed",
            "response_format",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_raised(
    client: OpenAI, options: Any, kind: type[openai.APIStatusError], code: str, param: str, stream: bool
) -> None:
    asked = {"model": "gemma", "messages": [user("Who?")], "max_tokens": 20, "stream": stream, **options}
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**asked)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


def test_a_chat_longer_than_the_context_is_told_in_tokens(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gemma", messages=[user("red " * 5000)])
    assert caught.value.code == "context_length_exceeded"
    context: Any = client.models.retrieve("google/gemma-3-4b-it")
    assert f"maximum context length is {context.max_model_len} tokens; the prompt has " in caught.value.message


@pytest.mark.parametrize("stream", [False, True])
def test_more_tokens_than_there_may_be_are_told_in_a_header(client: OpenAI, stream: bool) -> None:
    scene, picture = drawn(1)[0]
    raw = client.chat.completions.with_raw_response
    asked: Any = {"model": "google/gemma-3-4b-it", "messages": [user(picture)], "stream": stream}
    assert "X-Looksee-Max-Tokens" not in raw.create(**asked, max_tokens=100).headers
    answer = raw.create(**asked, max_tokens=16_384)
    assert answer.headers["X-Looksee-Max-Tokens"] == "1024"
    if not stream:
        completion: Any = answer.parse()
        assert (completion.model, completion.choices[0].message.content) == ("gemma", scene.caption())


def test_a_function_that_is_not_called(client: OpenAI) -> None:
    scene, picture = drawn(1)[0]
    tool: Any = {"type": "function", "function": {"name": "paint", "parameters": {"type": "object"}}}
    asked: Any = {"model": "gemma", "messages": [user(picture)], "tools": [tool]}
    answer = client.chat.completions.create(**asked, tool_choice="none", parallel_tool_calls=False)
    assert answer.choices[0].message.content == scene.caption()
    assert answer.choices[0].message.tool_calls is None
    with pytest.raises(openai.BadRequestError, match="only where one is forced"):
        client.chat.completions.create(**asked)


def test_overload_is_told_before_a_stream_begins(narrow: Service) -> None:
    pictures = [picture for _, picture in drawn(24)]

    async def main() -> list[Any]:
        async with AsyncOpenAI(base_url=f"{narrow.url}/v1", api_key="none", max_retries=0) as client:

            async def ask(picture: bytes) -> Any:
                asked: Any = {"model": "intern_vlm", "messages": [user(picture)], "stream": True}
                return "".join(
                    [
                        chunk.choices[0].delta.content or ""
                        async for chunk in await client.chat.completions.create(**asked)
                    ]
                )

            await ask(pictures[0])
            return await asyncio.gather(*map(ask, pictures), return_exceptions=True)

    ends = asyncio.run(main())
    assert any(isinstance(end, str) for end in ends)
    refused = [end for end in ends if not isinstance(end, str)]
    assert refused
    assert all(isinstance(end, openai.RateLimitError) and end.code == "overloaded" for end in refused)


def test_who_leaves_a_stream_stops_its_row(service: Service, client: OpenAI) -> None:
    """Drawn hot, an answer mostly goes on when its reader leaves; where it had ended, another is asked for."""
    _, picture = drawn(1, things=3)[0]

    def dropped() -> float:
        return service.metric("looksee_rows_dropped_total", model="gemma")

    before = dropped()
    for seed in range(40):
        asked: Any = {"model": "gemma", "messages": [user(picture)], "temperature": 2.0, "seed": seed}
        with client.chat.completions.create(**asked, stop=["\x00"], stream=True) as stream:
            next(iter(stream))
        end = time.monotonic() + 1
        while dropped() == before and time.monotonic() < end:
            time.sleep(0.05)
        if dropped() > before:
            break
    assert dropped() == before + 1


def test_a_failure_in_mid_stream_is_raised(narrow: Service) -> None:
    """The runner dies while it writes."""
    _, picture = drawn(1, things=3)[0]
    with OpenAI(base_url=f"{narrow.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        asked: Any = {"model": "intern_vlm", "messages": [user(picture)], "temperature": 2.0, "stream": True}
        failed: openai.APIError | None = None
        for seed in range(40):
            stream = client.chat.completions.create(**asked, seed=seed)
            try:
                for count, _chunk in enumerate(stream):
                    if count == 2:
                        for process in narrow.processes("InternVlm"):
                            process.kill()
            except openai.APIError as error:
                failed = error
                break
        assert failed is not None
        assert failed.code == "runner_failed"


def test_the_moondream_package_chats(service: Service) -> None:
    scene, picture = drawn(1)[0]
    client: Any = moondream.vl(endpoint=f"{service.url}/v1")
    messages = [user(COUNT, picture)]
    assert client.chat(messages) == {
        "message": {"role": "assistant", "content": number(scene), "refusal": None},
        "finish_reason": "stop",
    }
    streamed = client.chat(messages, stream=True, settings={"temperature": 0.01, "max_tokens": 20})["message"]
    assert "".join(streamed) == number(scene)
    thought = client.chat(messages, reasoning=True, settings={"max_tokens": 20})["message"]
    assert isinstance(thought["reasoning"]["text"], str)
