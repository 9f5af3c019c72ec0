"""Answers that went wrong are told as what they are in every dialect, and are stored by none."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from looksee.core.tasks import Answer, Call, Event, Failure, Finish, Job, Reply, Task
from looksee.models.interface import not_finite
from tests.gateway.proxy import IDENTITY
from tests.http.app import Doors, content
from tests.support.files import plain

PICTURE = plain()
IMAGE = base64.b64encode(PICTURE).decode()
URL = f"data:image/png;base64,{IMAGE}"
WRONG: dict[Finish, Answer] = {"empty": Answer("", "empty", 1, 2), "loop": Answer("ha ha", "loop", 1, 128)}

Told = tuple[str | None, str | None]  # how it ended, and the code of its error


def whole(answer: Response | httpx.Response) -> Told:
    """Of one answer, or of its only part."""
    found = content(answer)
    for part in ("results", "choices"):
        found = found[part][0] if part in found else found
    return found.get("finish_reason"), (found.get("error") or {}).get("code")


def lines(answer: httpx.Response) -> Told:
    first = json.loads(answer.text.splitlines()[0])
    assert first["status"] == (502 if "error" in first else 200)
    return first.get("finish_reason"), (first.get("error") or {}).get("code")


def events(answer: httpx.Response) -> Told:
    """Of a stream, or of the error in its place."""
    if answer.headers["content-type"] == "application/json":
        return whole(answer)
    found = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: {")]
    ends = [event["choices"][0] if "choices" in event else event for event in found]
    return next((end["finish_reason"] for end in ends if end.get("finish_reason")), None), None


def chat(doors: Doors, **more: Any) -> httpx.Response:
    parts = [{"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": "Who?"}]
    return doors.send(
        "/v1/chat/completions", json={"model": "gemma", "messages": [{"role": "user", "content": parts}], **more}
    )


def ollama(doors: Doors, *, stream: bool) -> Told:
    """By the last line, or the only one."""
    body = {"model": "gemma", "prompt": "Who?", "images": [IMAGE], "stream": stream}
    last = json.loads(doors.send("/api/generate", json=body).text.splitlines()[-1])
    return last.get("done_reason"), (last.get("error") or {}).get("code")


DIALECTS: dict[str, Callable[[Doors], Told]] = {
    "captions": lambda doors: whole(doors.captions(("a.png", PICTURE), model="gemma")),
    "collective": lambda doors: whole(doors.collective(("a.png", PICTURE), ("b.png", PICTURE))),
    "native caption": lambda doors: whole(doors.caption(image=IMAGE)),
    "native query": lambda doors: whole(doors.query(image=IMAGE, question="Who?")),
    "native captions": lambda doors: whole(doors.native(Task.CAPTION, images=[IMAGE], model="gemma")),
    "native collective": lambda doors: whole(doors.native(Task.COLLECTIVE, images=[IMAGE, IMAGE], model="gemma")),
    "form caption": lambda doors: whole(doors.upload("caption", PICTURE)),
    "form query": lambda doors: whole(doors.upload("query", PICTURE, question="Who?")),
    "batch": lambda doors: lines(doors.send("/v1/batch", json={"items": [{"image": IMAGE}]})),
    "v1 caption": lambda doors: whole(doors.send("/v1/caption", json={"image_url": URL})),
    "v1 query": lambda doors: whole(doors.send("/v1/query", json={"image_url": URL, "question": "Who?"})),
    "v1 stream": lambda doors: events(doors.send("/v1/caption", json={"image_url": URL, "stream": True})),
    "chat": lambda doors: whole(chat(doors)),
    "chat stream": lambda doors: events(chat(doors, stream=True)),
    "Ollama": lambda doors: ollama(doors, stream=False),
    "Ollama stream": lambda doors: ollama(doors, stream=True),
}
OPENAI = {"empty": "stop", "loop": "length"}


@pytest.mark.parametrize("finish", WRONG)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_went_wrong_is_told_and_asked_anew_each_time(dialect: str, finish: Finish) -> None:
    asked: list[Job] = []

    def says(job: Job) -> Answer:
        asked.append(job)
        return WRONG[finish]

    doors, ask = Doors(says), DIALECTS[dialect]
    expected = OPENAI[finish] if dialect.startswith("chat") else finish
    assert [ask(doors), ask(doors)] == [(expected, None)] * 2
    assert len(asked) == 2
    assert doors.shelf.stored == {}
    assert all(doors.shelf.asked)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_good_answer_is_stored(dialect: str) -> None:
    doors = Doors(lambda job: Answer("yes", "stop", 1, 2))
    assert DIALECTS[dialect](doors) == ("stop", None)
    assert len(doors.shelf.stored) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_logits_that_are_not_finite_are_named_and_not_stored(dialect: str) -> None:
    statuses: list[int] = []
    failure = Reply(failure=Failure.of(not_finite()))
    doors = Doors()
    for proxy in doors.proxies.values():
        proxy.answer = lambda job: failure
    send = doors.send

    def sent(path: str, **options: Any) -> httpx.Response:
        answer = send(path, **options)
        statuses.append(answer.status_code)
        assert "not finite" in answer.text
        return answer

    doors.send = sent  # type: ignore[method-assign]
    assert DIALECTS[dialect](doors) == (None, "runner_failed")
    assert statuses in ([], [200 if dialect == "batch" else 502])
    assert doors.shelf.stored == {}


@pytest.mark.parametrize("dialect", ["v1 stream", "chat stream"])
def test_logits_that_are_not_finite_end_a_stream_with_their_error(dialect: str) -> None:
    async def tell(call: Call) -> AsyncIterator[Event]:
        yield Event(0, "a red ")
        yield Event(0, reply=Reply(failure=Failure.of(not_finite())), identity=IDENTITY)

    doors = Doors()
    for proxy in doors.proxies.values():
        proxy.after = tell
    texts: list[str] = []
    send = doors.send

    def sent(path: str, **options: Any) -> httpx.Response:
        answer = send(path, **options)
        texts.append(answer.text)
        return answer

    doors.send = sent  # type: ignore[method-assign]
    assert DIALECTS[dialect](doors) == (None, None)
    (text,) = texts
    assert "a red " in text
    assert "runner_failed" in text
    assert "not finite" in text
    assert doors.shelf.stored == {}


def test_nothing_found_is_an_answer_like_any_other() -> None:
    doors = Doors(lambda job: Answer("", "stop", 1, 1))
    for cached in (False, True):
        found = content(doors.detect(image=IMAGE, object="cat"))
        assert (found["finish_reason"], found["count"], found["cache"]) == ("stop", 0, cached)
