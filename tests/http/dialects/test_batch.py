"""Batches: each item answered as where it is asked alone, in the order they end, none the worse for its neighbours."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Answer, Call, Event, Job, Reply, Sampling, Task
from looksee.http import error_params
from looksee.http.context import RequestContext
from looksee.http.dialects.batch.concurrency import BatchConcurrency
from looksee.http.inputs import uploads
from tests.http.app import BOXES, POINTS, Doors, error
from tests.support.files import plain
from tests.support.loops import run, settle, until

PICTURE = plain()
IMAGE = base64.b64encode(PICTURE).decode()
OTHER = base64.b64encode(plain(colour=(1, 2, 3))).decode()


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


def batch(doors: Doors, *items: Any, **body: Any) -> list[dict[str, Any]]:
    """The lines of the items, by their places."""
    *found, last = lines(doors.send("/v1/batch", json={"items": items, **body}))
    good = sum(line["status"] == 200 for line in found)
    assert last == {"done": True, "succeeded": good, "failed": len(items) - good}
    assert sorted(line["index"] for line in found) == list(range(len(items)))
    return sorted(found, key=lambda line: int(line["index"]))


@pytest.mark.parametrize(
    ("item", "path", "body"),
    [
        ({}, "caption", {}),
        ({"length": "long"}, "caption", {"length": "long"}),
        ({"task": "query", "question": "who?"}, "query", {"question": "who?"}),
        ({"task": "query", "question": "who?", "model": "gemma"}, "query", {"question": "who?", "model": "gemma"}),
        ({"task": "detect", "object": "cat"}, "detect", {"object": "cat"}),
        ({"task": "point", "object": "cat"}, "point", {"object": "cat"}),
    ],
)
def test_an_item_is_answered_as_its_route_answers(item: dict[str, Any], path: str, body: dict[str, Any]) -> None:
    doors = Doors()
    (line,) = batch(doors, {"image": IMAGE, "id": "a.png", **item})
    assert (line.pop("index"), line.pop("id"), line.pop("status")) == (0, "a.png", 200)
    alone = doors.send(f"/v1/{path}", json={"image_url": IMAGE, **body}).json()
    assert line.pop("cache") is False
    assert {**line, "request_id": alone["request_id"], "cache": alone["cache"]} == alone


def test_what_is_found_is_told() -> None:
    boxes, points = batch(Doors(), {"image": IMAGE, "task": "detect"}, {"image": IMAGE, "task": "point"}, object="it")
    assert boxes["objects"] == [box._asdict() for box in BOXES]
    assert points["points"] == [point._asdict() for point in POINTS]


def test_pictures_together() -> None:
    doors = Doors()
    (line,) = batch(doors, {"task": "collective", "images": ["one", OTHER]}, images={"one": IMAGE})
    assert (line["collective_caption"], line["count"], line["model"]) == ("a red circle; a blue square", 2, "gemma")
    assert line["tags"][:2] == ["red", "circle"]
    ((job,),) = doors.calls("gemma")
    assert (job.task, len(job.images), job.images[0]) == (Task.COLLECTIVE, 2, PICTURE)


def test_the_cache_is_everybodys() -> None:
    doors = Doors()
    doors.caption(image=IMAGE)
    first, second = batch(doors, {"image": IMAGE}, {"image": OTHER})
    assert (first["cache"], second["cache"]) == (True, False)
    assert [line["cache"] for line in batch(doors, {"image": IMAGE}, {"image": OTHER})] == [True, True]


def test_what_the_batch_says_holds_for_items_that_do_not_say_otherwise() -> None:
    doors = Doors()
    batch(
        doors,
        {"image": IMAGE},
        {"image": IMAGE, "model": "blip", "prompt": "a photo of"},
        {"image": IMAGE, "temperature": 0},
        model="gemma",
        prompt="Name it.",
        temperature=0.5,
        top_p=0.5,
        seed=7,
        max_tokens=9,
    )
    drawn = Sampling(0.5, 0.5, seed=7)
    asked = {(job.prompt, job.sampling, job.max_new_tokens) for call in doors.calls("gemma") for job in call}
    assert asked == {("Name it.", drawn, 9), ("Name it.", Sampling(), 9)}
    ((job,),) = doors.calls("blip")
    assert (job.prompt, job.sampling) == ("a photo of", drawn)


def test_a_picture_with_a_name_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    picture = uploads.picture

    async def counted(text: str, context: RequestContext, *, param: str) -> Any:
        read.append(text)
        return await picture(text, context, param=param)

    monkeypatch.setattr(uploads, "picture", counted)
    asked = [{"image": "a", "task": "query", "question": f"{number}?"} for number in range(50)]
    assert all(line["answer"] == "yes" for line in batch(Doors(), *asked, images={"a": IMAGE}))
    assert read == [IMAGE]


def test_a_picture_that_could_not_be_fetched_for_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    picture = uploads.picture

    async def crowded(text: str, context: RequestContext, *, param: str) -> Any:
        tried.append(text)
        if len(tried) == 1:
            raise errors.Overloaded("Too many are being fetched.", retry_after=1)
        return await picture(IMAGE, context, param=param)

    monkeypatch.setattr(uploads, "picture", crowded)
    asked = [{"image": "a", "prompt": f"{number}"} for number in range(5)]
    found = batch(Doors(), *asked, images={"a": "https://pictures.test/a.png"})
    assert [line["status"] for line in found] == [200] * 5
    assert len(tried) == 2


def test_pictures_with_names_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an address leads to is not in the body, whose size is limited."""
    picture = uploads.picture

    async def fetched(_: str, context: RequestContext, *, param: str) -> Any:
        return await picture(IMAGE, context, param=param)

    monkeypatch.setattr(uploads, "picture", fetched)
    refused: list[BaseException] = []
    renamed = error_params.renamed

    def noted(error: errors.LookseeError, param: str) -> errors.LookseeError:
        refused.append(error)
        return renamed(error, param)

    monkeypatch.setattr(error_params, "renamed", noted)
    doors = Doors(max_request_bytes=3 * len(PICTURE) + 1)
    images = {f"{number}": f"https://pictures.test/{number}.png" for number in range(5)}
    found = batch(doors, *({"image": name, "prompt": name} for name in images), images=images)
    assert sorted(line["status"] for line in found) == [200, 200, 200, 413, 413]
    told = {(line["error"]["code"], line["error"]["param"]) for line in found if line["status"] == 413}
    assert told == {("request_too_large", "image")}
    assert len(refused) == 2
    for refusal in refused:
        frames = [frame.f_locals for frame, _ in traceback.walk_tb(refusal.__traceback__)]
        held = [value for variables in frames for value in variables.values() if isinstance(value, Picture)]
        assert held == [], "what is refused is not kept either"
    inline = batch(doors, *({"image": f"https://pictures.test/{number}.png"} for number in range(5)))
    assert [line["status"] for line in inline] == [200] * 5, "those are not kept"


BAD: list[tuple[Any, tuple[int, str, str | None]]] = [
    (7, (422, "invalid_value", None)),
    ([], (422, "invalid_value", None)),
    ({}, (422, "invalid_value", "image")),
    ({"image": ""}, (400, "empty_file", "image")),
    ({"image": "a.pgn"}, (400, "invalid_request", "image")),
    ({"image": 7}, (422, "invalid_value", "image")),
    ({"image": IMAGE, "images": [IMAGE]}, (422, "invalid_value", "images")),
    ({"image": "bad"}, (415, "unsupported_image_type", "image")),
    ({"image": "a", "task": "collective"}, (422, "invalid_value", "image")),
    ({"images": ["a", "bad"], "task": "collective"}, (415, "unsupported_image_type", "images.1")),
    ({"images": [], "task": "collective"}, (422, "invalid_value", "images")),
    ({"images": ["a"] * 33, "task": "collective"}, (413, "too_many_files", "images")),
    ({"images": ["a"], "task": "collective", "model": "blip"}, (400, "task_not_supported", "model")),
    ({"image": "a", "promt": "x"}, (422, "invalid_value", "promt")),
    ({"image": "a", "task": "dance"}, (422, "invalid_value", "task")),
    ({"image": "a", "model": "gpt"}, (422, "unknown_model", "model")),
    ({"image": "a", "model": "blip", "length": "long"}, (400, "task_not_supported", "length")),
    ({"image": "a", "question": "who?"}, (422, "invalid_value", "question")),
    ({"image": "a", "task": "query"}, (422, "invalid_value", "question")),
    ({"image": "a", "task": "detect", "object": " "}, (422, "invalid_value", "object")),
    ({"image": "a", "task": "detect", "object": "x", "max_objects": 0}, (422, "invalid_value", "max_objects")),
    ({"image": "a", "prompt": "x" * 5000}, (422, "prompt_too_long", "prompt")),
    ({"image": "a", "max_tokens": 0}, (422, "invalid_value", "max_tokens")),
    ({"image": "a", "temperature": 3}, (422, "invalid_value", "temperature")),
    ({"image": "a", "seed": 2**63}, (422, "invalid_value", "seed")),
]


@pytest.mark.parametrize(("bad", "expected"), BAD)
def test_a_bad_item_spoils_nothing(bad: Any, expected: tuple[int, str, str | None]) -> None:
    named = {**bad, "id": "mine"} if isinstance(bad, dict) else bad
    text = base64.b64encode(b"no picture").decode()
    good, failed, also = batch(Doors(), {"image": "a"}, named, {"image": "a"}, images={"a": IMAGE, "bad": text})
    assert good["caption"] == also["caption"] == "a red circle"
    told = failed["error"]
    assert (failed["status"], told["code"], told["param"]) == expected
    assert set(told) == {"code", "message", "type", "param", "request_id"}
    assert failed["id"] == ("mine" if isinstance(bad, dict) else None)


def test_ids_stay_with_their_items_among_bad_ones() -> None:
    given = [{"image": IMAGE, "id": 1}, 7, {"id": [], "image": 7}, {"id": "x", "image": 7}, {"image": IMAGE, "id": "y"}]
    found = batch(Doors(), *given)
    assert [(line["id"], line["status"]) for line in found] == [
        (1, 200),
        (None, 422),
        (None, 422),
        ("x", 422),
        ("y", 200),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "invalid_request", None)),
        (b"[]", (400, "invalid_request", None)),
        (b"{}", (422, "invalid_value", "items")),
        (b'{"items": []}', (422, "invalid_value", "items")),
        (b'{"items": {}}', (422, "invalid_value", "items")),
        (b'{"items": [{}], "images": ["a"]}', (422, "invalid_value", "images")),
        (b'{"items": [{}], "task": "dance"}', (422, "invalid_value", "task")),
        (b'{"items": [{}], "promt": ""}', (422, "invalid_value", "promt")),
        (b'{"items": [{},{},{},{},{}]}', (413, "too_many_items", "items")),
        (b'{"items": [7,7,7,7,7]}', (413, "too_many_items", "items")),
        (b'{"items": [{}], "images": {"a":"","b":"","c":"","d":"","e":""}}', (413, "too_many_items", "images")),
        (b'{"items": [{%s}]}' % b",".join(b'"%d":0' % n for n in range(999)), (400, "invalid_request", None)),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(body: bytes, expected: tuple[int, str, str | None]) -> None:
    assert error(Doors(max_batch_items=4).send("/v1/batch", content=body)) == expected


@pytest.mark.parametrize("busy", [errors.Overloaded, errors.ModelNotReady])
def test_a_busy_model_is_waited_for_as_long_as_it_says(busy: type[errors.LookseeError]) -> None:
    asked: list[float] = []

    def says(_: Job) -> str | errors.LookseeError:
        asked.append(time.monotonic())
        return busy("Later.", retry_after=1) if len(asked) == 1 else "a cat"

    (line,) = batch(Doors(says), {"image": IMAGE})
    assert line["caption"] == "a cat"
    assert asked[1] - asked[0] >= 1


@pytest.mark.parametrize(
    "failed", [errors.RunnerFailed, errors.OutOfMemory, errors.CorruptImage, errors.DeadlineExceeded]
)
def test_other_failures_are_told_at_once(failed: type[errors.LookseeError]) -> None:
    doors = Doors(lambda job: failed("No.", retry_after=1) if job.prompt else "a cat")
    (bad, good) = batch(doors, {"image": IMAGE, "prompt": "x"}, {"image": IMAGE})
    assert (bad["status"], bad["error"]["code"], good["caption"]) == (failed.status, failed.code, "a cat")
    assert sum(map(len, doors.calls("moondream"))) == 2


def test_a_model_that_stays_busy_beyond_the_batchs_time_is_told() -> None:
    doors = Doors(lambda _: errors.Overloaded("Later.", retry_after=200))
    (line,) = batch(doors, {"image": IMAGE})
    assert (line["status"], line["error"]["code"]) == (429, "overloaded")


def held(doors: Doors, model: str, go: asyncio.Semaphore) -> list[int]:
    """Let the model answer one job for each release; how many jobs it has at work, after each change."""
    at_work = [0]

    async def after(call: Call) -> AsyncIterator[Event]:
        at_work.append(at_work[-1] + len(call.asks))
        for number in range(len(call.asks)):
            await go.acquire()
            at_work.append(at_work[-1] - 1)
            yield Event(number, reply=Reply(Answer("a cat", "stop", 1, 2)), identity=doors.proxies[model].identity)

    doors.proxies[model].after = after
    return at_work


def test_when_the_time_is_over_the_rest_is_answered() -> None:
    doors = Doors(request_timeout_seconds=3)
    held(doors, "moondream", asyncio.Semaphore(3))
    found = batch(doors, *({"image": IMAGE, "prompt": f"{number}"} for number in range(60)))
    assert sorted({(line["status"], line.get("error", {}).get("code")) for line in found}, key=str) == [
        (200, None),
        (504, "deadline_exceeded"),
    ]
    assert sum(line["status"] == 200 for line in found) == 3


async def streamed(doors: Doors, body: Any, until: Callable[[list[bytes]], bool]) -> list[bytes]:
    """What a caller gets who leaves when `until` says so."""
    got: list[bytes] = []
    leaving = asyncio.Event()
    sent = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in sent:
            return message
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        got.append(message.get("body", b""))
        if until(got):
            leaving.set()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/batch",
        "raw_path": b"/v1/batch",
        "query_string": b"",
        "headers": [],
        "asgi": {"version": "3.0", "spec_version": "2.3"},
    }
    await doors.app(scope, receive, send)
    return got


def test_a_caller_who_leaves_takes_the_batch_along() -> None:
    async def main() -> None:
        doors = Doors()
        held(doors, "moondream", asyncio.Semaphore(2))
        items = [{"image": IMAGE, "prompt": f"{number}"} for number in range(100)]
        await streamed(doors, {"items": items}, lambda got: sum(map(len, got)) > 0)
        await settle(50)
        proxy = doors.proxies["moondream"]
        asked = sum(len(call.jobs) for call in proxy.calls)
        width = BatchConcurrency(doors.settings).width("moondream")
        assert width <= asked <= width + 2
        assert len(proxy.cancelled) == asked - 2
        before = len(proxy.calls)
        await settle(50)
        assert len(proxy.calls) == before

    run(main())


@pytest.mark.parametrize("late_failure", [False, True])
def test_a_caller_who_leaves_takes_fetches_along(monkeypatch: pytest.MonkeyPatch, late_failure: bool) -> None:
    log: list[str] = []

    async def fetch(text: str, context: RequestContext, *, param: str) -> Any:
        log.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            if late_failure:
                raise errors.ImageNotFetched("It was not there.") from None
            raise

    monkeypatch.setattr(uploads, "picture", fetch)

    async def main() -> None:
        body = {"images": {"a": "https://pictures.test/a.png"}, "items": [{"image": "a"}, {"image": "a", "top_p": 7}]}
        await streamed(Doors(heartbeat_seconds=0.01), body, lambda _: bool(log))
        await settle()
        assert log == ["begun", "cancelled"]

    run(main())


def test_batches_together_leave_room_for_others() -> None:
    async def main() -> None:
        doors = Doors()
        go = asyncio.Semaphore(0)
        at_work = held(doors, "moondream", go)

        def items(name: str) -> dict[str, Any]:
            return {"items": [{"image": IMAGE, "prompt": f"{name} {number}"} for number in range(40)]}

        two = [asyncio.create_task(streamed(doors, items(name), lambda _: False)) for name in "ab"]
        width = BatchConcurrency(doors.settings).width("moondream")
        await until(lambda: at_work[-1] >= width)
        await asyncio.sleep(0.2)  # for one that is too many
        assert at_work[-1] == width == doors.settings.model("moondream").max_batch_rows * 3 // 4
        for _ in range(80):
            go.release()
        for got in await asyncio.gather(*two):
            assert len(b"".join(got).splitlines()) == 41
        assert max(at_work) == width

    run(main())


@pytest.mark.parametrize(("capacity", "together"), [(1, False), (0, True), (2, True)])
def test_models_that_do_not_fit_are_asked_one_after_the_other(capacity: int, together: bool) -> None:
    async def main() -> None:
        doors = Doors(model_capacity=capacity)
        go = asyncio.Semaphore(0)
        names = ("gemma", "moondream")
        for name in names:
            held(doors, name, go)
        body = {"items": [{"image": IMAGE, "model": name} for name in names]}
        working = asyncio.create_task(streamed(doors, body, lambda _: False))
        await until(lambda: any(doors.calls(name) for name in names))
        if together:
            await until(lambda: all(doors.calls(name) for name in names))
        await asyncio.sleep(0.2)
        assert all(doors.calls(name) for name in names) is together
        go.release()
        go.release()
        assert len(b"".join(await working).splitlines()) == 3
        assert all(doors.calls(name) for name in names)

    run(main())


@pytest.mark.parametrize(
    ("common", "expected", "wanted"),
    [
        ({"max_tokens": 0}, (422, "invalid_value", "max_tokens"), "a whole number from 1 to 1024"),
        ({"max_tokens": 1025}, (422, "invalid_value", "max_tokens"), "LOOKSEE_MAX_NEW_TOKENS"),
        ({"max_objects": 151, "task": "detect"}, (422, "invalid_value", "max_objects"), "from 1 to 150"),
        ({"temperature": 2.5}, (422, "invalid_value", "temperature"), "a number from 0 to 2"),
        ({"model": "gpt-4o"}, (422, "unknown_model", "model"), "blip, blip2"),
        ({"task": "segment"}, (422, "invalid_value", "task"), "one of: caption, collective"),
        ({"prompt": None}, (422, "invalid_value", "prompt"), "'prompt' is null; it must be a text."),
    ],
)
def test_a_wrong_value_for_all_items_is_refused_before_any(
    common: dict[str, Any], expected: tuple[int, str, str], wanted: str
) -> None:
    answer = Doors().send("/v1/batch", json={"items": [{"image": IMAGE}, {"image": IMAGE}], **common})
    assert error(answer) == expected
    assert wanted in answer.json()["detail"]


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        ({"image": 5}, "'image' must be a name in the batch's 'images', or a picture as a text ("),
        ({}, "'image' is missing; it must be a name in the batch's 'images', or a picture"),
        ({"image": IMAGE, "max_tokens": "many"}, "'max_tokens' must be a whole number from 1 to 1024; "),
        ({"image": IMAGE, "top_p": 0}, "'top_p' must be a number above 0 and at most 1."),
        ({"image": IMAGE, "prompt": None}, "'prompt' is null; it must be a text."),
        (
            {"image": IMAGE, "object": "cat"},
            "which takes: task, model, prompt, length, scores, max_words, strip_opening, language",
        ),
        ({"image": IMAGE, "id": []}, "'id' must be a text or a whole number."),
        (
            {"task": "collective", "images": "cat"},
            "'images' must be a list of at most 32 names in the batch's 'images'",
        ),
        ({"task": "collective", "images": []}, "'images' is missing; it must be a list of at most 32 names"),
    ],
)
def test_a_line_says_what_its_item_may_have(item: dict[str, Any], wanted: str) -> None:
    good, bad = batch(Doors(), {"image": IMAGE}, item)
    assert (good["status"], bad["status"]) == (200, 422)
    assert wanted in bad["error"]["message"]
