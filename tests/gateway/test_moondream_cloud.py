"""Moondream's cloud: what is sent, what is made of its answers, and that by default nothing is sent."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from looksee.core import errors
from looksee.core.tasks import Job, Task
from looksee.gateway import moondream_cloud
from looksee.models.registry import REMOTE_MODELS
from looksee.models.registry.moondream import MoondreamSettings
from tests.http.app import Doors, content, error
from tests.support.files import plain
from tests.support.loops import run

PICTURE = plain("JPEG")
IMAGE = base64.b64encode(PICTURE).decode()
ASKED = {"image_url": IMAGE, "model": "moondream-cloud"}
WHOSE = {"cache": False, "model": "moondream-cloud", "revision": "unknown", "weights": "cloud"}

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    REMOTE_MODELS.clear()


class Vendor:
    """A vendor's API that gives one answer; `asked` are the requests it got: path, headers and body."""

    def __init__(self, answer: Reply) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.headers), json.loads(await request.read())))
        return await self.answer(request)

    def ask(self, path: str, **body: Any) -> httpx.Response:
        """A request to our own door that names the cloud."""
        return self.post(path, {"image_url": IMAGE, "model": "moondream-cloud", **body})

    def answer_to(self, **item: Any) -> Any:
        """The line of a batch's only item."""
        answer = self.post("/v1/batch", {"items": [{"model": "moondream-cloud", **item}]})
        return json.loads(answer.text.splitlines()[0])

    def post(self, path: str, body: Any, **how: Any) -> httpx.Response:
        """A request in JSON to our own doors; `how` as in `send`."""
        return self.send(path, {"json": body}, **how)

    def send(self, path: str, sent: Any, *, timeout: float = 5, key: str = " k3y ") -> httpx.Response:
        """A request to our own doors, whose cloud this is."""

        async def main() -> httpx.Response:
            app = web.Application(client_max_size=2**24)
            app.router.add_post("/{rest:.*}", self._handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            moondream = MoondreamSettings(cloud_url=f"http://127.0.0.1:{port}/v1/")
            self.doors = doors = Doors(
                moondream=moondream, moondream_cloud_api_key=key, request_timeout_seconds=timeout
            )
            doors.answering.elsewhere = moondream_cloud.offered(doors.settings)
            try:
                transport = httpx.ASGITransport(doors.app, raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
                    return await client.post(path, **sent)
            finally:
                for one in doors.answering.elsewhere.values():
                    await one.close()
                await runner.cleanup()

        return run(main())


def says(content: Any, status: int = 200, **headers: str) -> Vendor:
    async def answer(_: web.Request) -> web.Response:
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=text, status=status, headers=named)

    return Vendor(answer)


CAPTIONED = {"caption": "a cat", "finish_reason": "length", "metrics": {"what": "ever"}}


def test_a_caption() -> None:
    vendor = says(CAPTIONED)
    answer = vendor.ask("/v1/caption", length="short")
    assert answer.status_code == 200, answer.text
    told = content(answer)
    told.pop("request_id")
    assert told == {"caption": "a cat", "finish_reason": "length", **WHOSE}
    ((path, headers, body),) = vendor.asked
    assert path == "/v1/caption"
    assert headers["X-Moondream-Auth"] == "k3y"
    assert body["image_url"] == f"data:image/jpeg;base64,{IMAGE}"
    assert (body["length"], body["stream"]) == ("short", False)
    assert body["settings"] == {"max_tokens": 768, "temperature": 0}


def test_captions_of_a_forms_pictures() -> None:
    vendor = says(CAPTIONED)
    files = [("images", (f"{number}.jpg", PICTURE)) for number in range(2)]
    answer = vendor.send("/api/caption-images?model=moondream-cloud", {"files": files})
    assert [(one["caption"], one["weights"]) for one in content(answer)["results"]] == [("a cat", "cloud")] * 2
    assert [path for path, _, _ in vendor.asked] == ["/v1/caption"] * 2


def test_a_caption_with_a_prompt_is_a_question() -> None:
    vendor = says({"answer": "un chat"})
    assert vendor.answer_to(image=IMAGE, prompt="In French.")["caption"] == "un chat"
    ((path, _, body),) = vendor.asked
    assert (path, body["question"]) == ("/v1/query", "In French.")
    assert "length" not in body


def test_what_is_asked_beside_a_question_goes_along() -> None:
    thoughts = {"text": "hm", "grounding": [{"start_idx": 0, "end_idx": 2, "points": [[0.1, 0.2]]}]}
    vendor = says({"answer": "yes", "reasoning": thoughts})
    asked = {"question": "Is it?", "reasoning": True, "spatial_refs": [[0.5, 0.5]], "settings": {"temperature": 0.7}}
    told = content(vendor.ask("/v1/query", **asked))
    assert (told["answer"], told["reasoning"]) == ("yes", thoughts)
    ((path, _, body),) = vendor.asked
    assert (path, body["question"], body["reasoning"], body["spatial_refs"]) == (
        "/v1/query",
        "Is it?",
        True,
        [[0.5, 0.5]],
    )
    assert body["settings"] == {"max_tokens": 768, "temperature": 0.7, "top_p": 0.3}
    assert content(vendor.ask("/v1/query", question="Who?", image_url=None))["answer"] == "yes"
    assert "image_url" not in vendor.asked[-1][2]


def test_places_stay_in_the_picture() -> None:
    vendor = says({"objects": [{"x_min": -0.5, "y_min": 0.25, "x_max": 0.5, "y_max": 7}]})
    asked = {"object": "cat", "settings": {"max_objects": 3}}
    assert content(vendor.ask("/v1/detect", **asked))["objects"] == [
        {"x_min": 0, "y_min": 0.25, "x_max": 0.5, "y_max": 1}
    ]
    assert (vendor.asked[0][0], vendor.asked[0][2]["object"]) == ("/v1/detect", "cat")
    assert vendor.asked[0][2]["settings"] == {"max_objects": 3}
    vendor = says({"points": [{"x": 0.5, "y": -1}], "count": 1})
    assert content(vendor.ask("/v1/point", object="cat"))["points"] == [{"x": 0.5, "y": 0}]


EVENTS = [
    b'data: {"chunk":"a ","completed":false}\n\n: nothing\n\ndata: {"chu',
    b'nk":"c\xc3',
    b'\xa4t"}\n\ndata: {"stats":{}}\n\n',
    b'data: {"chunk":"","completed":true,"finish_reason":"length"}\n\n',
]


def streams(*parts: bytes) -> Vendor:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
            await asyncio.sleep(0.01)
        return response

    return Vendor(answer)


def events(answer: httpx.Response) -> list[Any]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]


@pytest.mark.parametrize(("path", "body"), [("/v1/caption", {}), ("/v1/query", {"question": "Who?"})])
def test_a_stream_is_passed_on(path: str, body: dict[str, Any]) -> None:
    vendor = streams(*EVENTS)
    *pieces, last = map(json.loads, events(vendor.ask(path, **body, stream=True)))
    assert [piece["chunk"] for piece in pieces] == ["a ", "cät"]
    assert last["completed"] is True
    assert {name: last[name] for name in WHOSE} == WHOSE
    assert last["finish_reason"] == "length"
    assert vendor.asked[0][2]["stream"] is True


@pytest.mark.parametrize(
    "broken",
    [[EVENTS[0]], [b'data: {"chunk":"a"}\n\ndata: {"error":"x"}\n\n'], [b'data: {"chunk":"a"}\n\ndata: x\n\n']],
)
def test_a_stream_that_breaks_off_is_told(broken: list[bytes]) -> None:
    first, failed, broken_line = events(streams(*broken).ask("/v1/caption", stream=True))
    assert json.loads(first)["chunk"]
    assert json.loads(failed)["error"]["code"] == "cloud_failed"
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(broken_line)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, (502, "cloud_key_refused", None)),
        (403, (502, "cloud_key_refused", None)),
        (400, (400, "invalid_request", None)),
        (413, (400, "invalid_request", None)),
        (422, (400, "invalid_request", None)),
        (404, (502, "cloud_failed", None)),
        (402, (502, "cloud_failed", None)),
        (500, (502, "cloud_failed", None)),
        (503, (502, "cloud_failed", None)),
        (302, (502, "cloud_failed", None)),
        (204, (502, "cloud_failed", None)),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_told_for_what_it_is(status: int, expected: tuple[int, str, str | None], stream: bool) -> None:
    vendor = says({"detail": "s3cret of the vendor"} if status != 204 else b"", status, Location="/elsewhere")
    answer = vendor.ask("/v1/caption", stream=stream)
    assert error(answer) == expected
    assert "s3cret" not in answer.text
    assert len(vendor.asked) == 1, "no redirect is followed and nothing is asked twice"


@pytest.mark.parametrize(
    ("header", "told"), [("7", "7"), ("", "5"), ("0", "1"), ("999999", "3600"), ("Wed, 21 Oct 2026 07:28:00 GMT", "5")]
)
def test_a_vendor_who_is_busy_says_when_to_come_again(header: str, told: str) -> None:
    answer = says({}, 429, Retry_After=header).ask("/v1/caption")
    assert error(answer) == (429, "overloaded", None)
    assert answer.headers["retry-after"] == told


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no json",
        b"[]",
        {},
        {"caption": 7},
        {"answer": "to something else"},
        {"objects": []},
        b'{"caption":"' + b"x" * 2**20 + b'"}',
    ],
)
def test_an_answer_that_is_none_fails(said: Any) -> None:
    assert error(says(said).ask("/v1/caption"))[:2] == (502, "cloud_failed")


def test_places_that_are_none_fail() -> None:
    said = b'{"objects": [{"x_min": NaN, "y_min": 0, "x_max": 1, "y_max": 1}]}'
    assert error(says(said).ask("/v1/detect", object="cat"))[:2] == (502, "cloud_failed")


def test_a_vendor_who_does_not_answer() -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    assert error(Vendor(never).post("/v1/caption", ASKED, timeout=0.3))[:2] == (504, "deadline_exceeded")


def test_nobody_at_the_address() -> None:
    async def main() -> None:
        found = moondream_cloud.MoondreamCloud("http://127.0.0.1:1/v1", "k")
        with pytest.raises(errors.CloudFailed):
            await found.ask(Job(Task.CAPTION, (PICTURE,)), timeout=5, request_id="")
        await found.close()

    run(main())


@pytest.mark.parametrize(
    "item", [{"image": IMAGE, "seed": 7, "temperature": 1}, {"images": [IMAGE, IMAGE], "task": "collective"}]
)
def test_what_the_vendor_cannot_do_is_refused_here(item: dict[str, Any]) -> None:
    vendor = says(CAPTIONED)
    line = vendor.answer_to(**item)
    assert (line["status"], line["error"]["code"]) == (400, "task_not_supported")
    assert vendor.asked == []


def test_nothing_of_it_is_cached_or_asked_here() -> None:
    vendor = says(CAPTIONED)
    assert content(vendor.ask("/v1/caption"))["cache"] is False
    assert vendor.doors.shelf.stored == {}
    assert not any(vendor.doors.calls(name) for name in vendor.doors.proxies)


def test_without_a_key_there_is_no_such_model() -> None:
    vendor = says(CAPTIONED)
    for key in ("", " "):
        answer = vendor.post("/v1/caption", ASKED, key=key)
        assert error(answer) == (422, "unknown_model", "model")
        assert content(answer)["detail"].endswith("intern_vlm, moondream."), "nor is it among the choices"
    answer = vendor.post("/v1/caption", {**ASKED, "model": "blip", "length": "long"}, key="")
    assert content(answer)["detail"].endswith(" have 'long': moondream.")
    assert vendor.asked == []


def test_only_who_names_it_is_sent_there() -> None:
    vendor = says(CAPTIONED)
    assert content(vendor.post("/v1/caption", {**ASKED, "model": "moondream"}))["weights"] == "local"
    assert vendor.asked == []


def test_a_chat_is_a_question() -> None:
    vendor = says({"answer": "a cat"})
    asked = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{IMAGE}"}},
    ]
    body = {"model": "moondream-cloud", "messages": [{"role": "user", "content": asked}], "temperature": 0.5}
    told = content(vendor.post("/v1/chat/completions", body))
    assert told["choices"][0]["message"]["content"] == "a cat"
    assert told["weights"] == "cloud"
    ((path, _, sent),) = vendor.asked
    assert (path, sent["question"]) == ("/v1/query", "What is it?")
    assert error(vendor.post("/v1/chat/completions", {**body, "stop": ["."]}))[:2] == (400, "task_not_supported")
