"""Streams and batches are not silent while a model takes its time, and the clients' packages read past what is sent."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import moondream
import openai
import pytest
import uvicorn
from PIL import Image

from looksee.cli import service_client
from looksee.core import errors
from looksee.core.tasks import Answer, Call, Event, Failure, Reply, Task
from looksee.gateway.answering import CacheableJob
from tests.gateway.proxy import IDENTITY
from tests.http.app import Doors
from tests.support.files import plain
from tests.support.loops import run, until

EVERY = 0.02
BEAT = ": the answer is on its way\n\n"
IMAGE = base64.b64encode(plain()).decode()
URL = f"data:image/png;base64,{IMAGE}"
WHO: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]}]


class SlowModel:
    """An app over a Moondream2 whose answers take `wait` seconds to begin, and as long between their pieces."""

    def __init__(self) -> None:
        self.doors = Doors(heartbeat_seconds=EVERY)
        self.wait = 5 * EVERY
        self.failure: errors.LookseeError | None = None
        self.doors.proxies["moondream"].after = self._answer

    async def _answer(self, call: Call) -> AsyncIterator[Event]:
        identity = self.doors.proxies["moondream"].identity
        for number, ask in enumerate(call.asks):
            await asyncio.sleep(self.wait)
            if self.failure is not None:
                yield Event(number, reply=Reply(failure=Failure.of(self.failure)), identity=identity)
                continue
            if ask.followed:
                yield Event(number, "a red ")
                await asyncio.sleep(self.wait)
            yield Event(number, reply=Reply(Answer("a red circle", "stop", 1, 3)), identity=identity)


@pytest.fixture
def slow() -> SlowModel:
    return SlowModel()


@pytest.fixture
def url(slow: SlowModel) -> Iterator[str]:
    """The app behind a real server, since one of the packages brings its own client."""
    server = uvicorn.Server(uvicorn.Config(slow.doors.app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def sent(slow: SlowModel, path: str, **body: Any) -> httpx.Response:
    return slow.doors.send(path, json=body)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/caption", {"image_url": URL}), ("/v1/chat/completions", {"model": "moondream", "messages": WHO})],
)
def test_a_stream_is_never_silent(slow: SlowModel, path: str, body: dict[str, Any]) -> None:
    answer = sent(slow, path, stream=True, **body)
    assert answer.status_code == 200
    before, _, after = answer.text.partition('"a red "')
    assert before.count(BEAT) >= 2
    assert after.count(BEAT) >= 2
    assert all(event.startswith("data: ") for event in answer.text.replace(BEAT, "").split("\n\n") if event)


def test_a_stream_of_checked_json_is_not_silent_either(slow: SlowModel) -> None:
    async def answer(call: Call) -> AsyncIterator[Event]:
        await asyncio.sleep(slow.wait)
        for number in range(len(call.asks)):
            yield Event(number, reply=Reply(Answer('{"a": 1}', "stop", 1, 3)), identity=IDENTITY)

    slow.doors.proxies["gemma"].after = answer
    asked = {"model": "gemma", "messages": WHO, "response_format": {"type": "json_object"}, "stream": True}
    text = sent(slow, "/v1/chat/completions", **asked).text
    assert text.startswith("data: ")
    assert text.count(BEAT) >= 2
    assert '{\\"a\\": 1}' in text
    assert text.endswith("data: [DONE]\n\n")


def test_a_quick_stream_has_nothing_else(slow: SlowModel) -> None:
    slow.wait = 0
    assert BEAT not in sent(slow, "/v1/caption", image_url=URL, stream=True).text


def test_what_fails_after_a_while_is_told_in_the_stream(slow: SlowModel) -> None:
    slow.failure = errors.ModelNotReady("'moondream' is still loading; try again.", retry_after=5)
    answer = sent(slow, "/v1/caption", image_url=URL, stream=True)
    assert answer.status_code == 200
    failed, broken = answer.text.replace(BEAT, "").split("\n\n")[:2]
    assert json.loads(failed.removeprefix("data: "))["error"]["code"] == "model_not_ready"
    assert broken == "data: broken off"


def test_what_fails_after_a_while_names_what_the_caller_sent(slow: SlowModel) -> None:
    slow.failure = errors.PromptTooLong("too long", param="prompt")
    answer = sent(slow, "/v1/query", image_url=URL, question="Who?", stream=True)
    failed = answer.text.replace(BEAT, "").split("\n\n")[0]
    assert json.loads(failed.removeprefix("data: "))["error"]["param"] == "question"
    slow.failure = errors.CorruptImage("broken", param="images.0")
    answer = sent(slow, "/v1/chat/completions", model="moondream", messages=WHO, stream=True)
    found = [json.loads(event.removeprefix("data: ")) for event in answer.text.replace(BEAT, "").split("\n\n")[:2]]
    assert found[1]["error"]["param"].startswith("messages.0")


def test_a_batch_is_never_silent_and_its_lines_are_json(slow: SlowModel) -> None:
    items = [{"image": IMAGE, "prompt": str(number)} for number in range(2)]
    answer = sent(slow, "/v1/batch", items=items)
    assert answer.text.startswith("  ")
    lines = answer.text.splitlines()
    assert len(lines) == 3
    assert [json.loads(line).get("status") for line in lines] == [200, 200, None]


def test_the_openai_package_reads_past_it(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    chunks = client.chat.completions.create(model="moondream", messages=WHO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "a red circle"


def test_the_openai_package_hears_of_what_fails_later(slow: SlowModel, url: str) -> None:
    slow.failure = errors.ModelNotReady("'moondream' is still loading; try again.", retry_after=5)
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    with pytest.raises(openai.APIError, match="still loading"):
        list(client.chat.completions.create(model="moondream", messages=WHO, stream=True))


def test_the_moondream_package_reads_past_it(slow: SlowModel, url: str) -> None:
    client = moondream.vl(endpoint=f"{url}/v1")
    picture = Image.new("RGB", (20, 10))
    assert "".join(client.caption(picture, stream=True)["caption"]) == "a red circle"
    slow.failure = errors.ModelNotReady("'moondream' is still loading; try again.", retry_after=5)
    with pytest.raises(ValueError, match="Failed to parse"):
        "".join(client.query(picture, "Who?", stream=True)["answer"])


def test_the_command_line_reads_past_it(url: str) -> None:
    async def main() -> list[dict[str, Any]]:
        async with service_client.connected(url, "") as service:
            return [line async for line in service.batch({"items": [{"image": IMAGE}]})]

    assert [line["caption"] for line in run(main())] == ["a red circle"]


def test_who_leaves_before_the_first_piece_leaves_the_model(slow: SlowModel, url: str) -> None:
    slow.wait = 30

    async def main() -> None:
        async with httpx.AsyncClient() as client, asyncio.timeout(20):
            asked = {"image_url": URL, "stream": True}
            async with client.stream("POST", f"{url}/v1/caption", json=asked) as answer:
                assert await anext(answer.aiter_text()) == BEAT
            await until(lambda: bool(slow.doors.proxies["moondream"].cancelled))

    run(main())


def test_an_answer_that_nobody_begins_to_read_is_given_up(slow: SlowModel) -> None:
    slow.wait = 30

    async def main() -> None:
        context = slow.doors.context()
        job = CacheableJob.about([], Task.CAPTION)
        found = await context.follow("moondream", job, param="prompt")
        del found
        await until(lambda: bool(slow.doors.proxies["moondream"].cancelled))

    run(main())
