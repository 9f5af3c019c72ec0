"""The Moondream client API: what the package sends and reads, errors with a status, streams that do not lie."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from looksee.core import errors
from looksee.core.geometry import Point
from looksee.core.tasks import GREEDY, Answer, Call, Event, Failure, Grounding, Job, Reasoning, Reply, Sampling, Task
from looksee.gateway.answering import ServedAnswer
from looksee.http.dialects.moondream_v1 import QueryBody, _chunks
from looksee.http.skills import CaptionSkill
from tests.gateway.proxy import answer_to
from tests.http.app import BOXES, POINTS, Doors, error
from tests.support.files import plain
from tests.support.loops import run

PICTURE = plain()
URL = "data:image/png;base64," + base64.b64encode(PICTURE).decode()


def sent(doors: Doors, skill: str, **body: Any) -> httpx.Response:
    return doors.send(f"/v1/{skill}", json=body)


def asked(doors: Doors, model: str = "moondream") -> Job:
    ((job,),) = doors.calls(model)
    return job


def events(answer: httpx.Response) -> list[Any]:
    """The data of each event; a line that is no JSON as it is."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    found: list[Any] = []
    for line in answer.text.splitlines():
        if data := line.removeprefix("data: "):
            try:
                found.append(json.loads(data))
            except ValueError:
                found.append(data)
    return found


def test_a_caption() -> None:
    doors = Doors()
    answer = sent(doors, "caption", image_url=URL)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["caption"], told["finish_reason"], told["cache"]) == ("a red circle", "stop", False)
    assert {"request_id", "model", "revision", "weights"} <= set(told)
    assert asked(doors) == Job(Task.CAPTION, (PICTURE,), "", 768, GREEDY)
    assert sent(doors, "caption", image_url=URL).json()["cache"] is True


@pytest.mark.parametrize("length", ["short", "normal", "long"])
def test_a_caption_of_a_length(length: str) -> None:
    doors = Doors()
    assert sent(doors, "caption", image_url=URL, length=length).status_code == 200
    assert asked(doors).length == length


def test_all_that_a_question_may_have() -> None:
    thoughts = Reasoning("it is so", (Grounding(3, 5, (Point(0.5, 0.25),)),))
    doors = Doors(says=lambda _: Answer("yes", "length", 3, 9, reasoning=thoughts))
    answer = sent(
        doors,
        "query",
        image_url=URL,
        question="Is it so?",
        reasoning=True,
        spatial_refs=[[0.5, 0.5], [0, 0, 1, 1]],
        settings={"temperature": 0.5, "top_p": 0.3, "max_tokens": 9, "variant": "unknown"},
        variant="unknown",
    )
    told = answer.json()
    assert (told["answer"], told["finish_reason"]) == ("yes", "length")
    assert told["reasoning"] == {
        "text": "it is so",
        "grounding": [{"start_idx": 3, "end_idx": 5, "points": [[0.5, 0.25]]}],
    }
    assert asked(doors) == Job(
        Task.QUERY,
        (PICTURE,),
        "Is it so?",
        9,
        Sampling(0.5, 0.3),
        reasoning=True,
        spatial_refs=((0.5, 0.5), (0, 0, 1, 1)),
    )


def test_a_question_about_nothing_seen() -> None:
    doors = Doors()
    assert sent(doors, "query", question="Who?", image_url=None).json()["answer"] == "yes"
    assert asked(doors).images == ()


def test_boxes_and_points() -> None:
    doors = Doors()
    found = sent(doors, "detect", image_url=URL, object="circle", settings={"max_objects": 3}).json()
    assert found["objects"] == [box._asdict() for box in BOXES]
    found = sent(doors, "point", image_url=URL, object="circle", spatial_refs=[[0.1, 0.2]]).json()
    assert found["points"] == [point._asdict() for point in POINTS]
    (detect,), (point,) = doors.calls("moondream")
    assert (detect.task, detect.prompt, detect.max_objects) == (Task.DETECT, "circle", 3)
    assert (point.task, point.spatial_refs) == (Task.POINT, ((0.1, 0.2),))


def test_other_models_answer_what_they_can() -> None:
    doors = Doors()
    assert sent(doors, "caption", image_url=URL, model="blip").json()["model"] == "blip"
    assert sent(doors, "query", image_url=URL, model="gemma", question="Who?").json()["model"] == "gemma"
    assert sent(doors, "caption", image_url=URL, model="moondream2").json()["model"] == "moondream"
    for skill, body in (
        ("detect", {"object": "circle", "model": "gemma"}),
        ("query", {"question": "Who?", "model": "gemma", "reasoning": True}),
        ("query", {"question": "Who?", "model": "blip2", "spatial_refs": [[0.5, 0.5]]}),
        ("caption", {"length": "short", "model": "gemma"}),
    ):
        assert error(sent(doors, skill, image_url=URL, **body))[:2] == (400, "task_not_supported"), body
    assert error(sent(doors, "query", question="Who?", model="gemma"))[:2] == (400, "task_not_supported")


@pytest.mark.parametrize(
    ("skill", "body", "expected"),
    [
        ("caption", {}, (422, "invalid_value", "image_url")),
        ("caption", {"image_url": 5}, (422, "invalid_value", "image_url")),
        ("caption", {"image_url": "#"}, (400, "invalid_request", "image_url")),
        (
            "caption",
            {"image_url": base64.b64encode(b"%PDF-1.7").decode()},
            (415, "unsupported_image_type", "image_url"),
        ),
        ("caption", {"image_url": URL, "length": "epic"}, (422, "invalid_value", "length")),
        ("caption", {"image_url": URL, "model": "gpt"}, (422, "unknown_model", "model")),
        ("caption", {"image_url": URL, "settings": {"temperature": 3}}, (422, "invalid_value", "settings.temperature")),
        ("caption", {"image_url": URL, "settings": {"max_tokens": 0}}, (422, "invalid_value", "settings.max_tokens")),
        ("query", {"image_url": URL, "question": " "}, (422, "invalid_value", "question")),
        ("detect", {"image_url": URL, "object": ""}, (422, "invalid_value", "object")),
        ("detect", {"image_url": URL, "object": "x", "settings": {"max_objects": 151}}, (422, "invalid_value", None)),
        ("point", {"image_url": URL, "object": "x", "spatial_refs": [[0.5]]}, (422, "invalid_value", None)),
    ],
)
def test_what_is_wrong_is_named(skill: str, body: dict[str, Any], expected: tuple[int, str, str | None]) -> None:
    doors = Doors()
    status, code, param = error(sent(doors, skill, **body))
    assert (status, code) == expected[:2]
    assert expected[2] is None or param == expected[2]
    assert doors.calls("moondream") == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_that_is_no_object(body: bytes) -> None:
    assert error(Doors().send("/v1/query", content=body))[0] in (400, 422)


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_ends_with_what_is_known_of_the_answer() -> None:
    doors = Doors()
    first, last = events(sent(doors, "caption", image_url=URL, stream=True))
    assert (first["chunk"], first["completed"]) == ("a red circle", False)
    assert (last["chunk"], last["completed"], last["finish_reason"]) == ("", True, "stop")
    assert {"model", "revision", "weights", "cache"} <= set(last)
    *_, last = events(sent(doors, "caption", image_url=URL, stream=True))
    assert last["cache"] is True


def test_a_stream_has_the_pieces_as_they_came() -> None:
    async def tell(call: Call) -> AsyncIterator[Event]:
        for piece in ("a ", "red ", "circle"):
            yield Event(0, piece)
        answer = Reply(Answer("a red circle", "stop", 1, 3))
        yield Event(0, reply=answer, identity=doors.proxies["moondream"].identity)

    doors = Doors()
    doors.proxies["moondream"].after = tell
    pieces = events(sent(doors, "query", image_url=URL, question="What?", stream=True))
    assert [piece["chunk"] for piece in pieces] == ["a ", "red ", "circle", ""]


def test_what_fails_before_the_first_piece_has_its_status() -> None:
    doors = Doors(says=lambda _: errors.Overloaded("The model's queue is full.", retry_after=7))
    answer = sent(doors, "caption", image_url=URL, stream=True)
    assert error(answer)[:2] == (429, "overloaded")
    assert answer.headers["retry-after"] == "7"
    doors = Doors(says=lambda _: errors.PromptTooLong("too long", param="prompt"))
    answer = sent(doors, "query", image_url=URL, question="What?", stream=True)
    assert error(answer) == (422, "prompt_too_long", "question")


def test_what_fails_later_cannot_be_taken_for_an_end() -> None:
    """The package ignores error events and takes a closed connection for the end: only a broken line makes it raise."""

    async def fail(call: Call) -> AsyncIterator[Event]:
        yield Event(0, "a ")
        failure = Failure.of(errors.RunnerFailed("The model failed; try again."))
        yield Event(0, reply=Reply(failure=failure), identity=doors.proxies["moondream"].identity)

    doors = Doors()
    doors.proxies["moondream"].after = fail
    first, failed, broken = events(sent(doors, "caption", image_url=URL, stream=True))
    assert first["chunk"] == "a "
    assert failed["error"]["code"] == "runner_failed"
    assert isinstance(broken, str)
    assert doors.shelf.stored == {}
    assert answer_to(Job(Task.CAPTION, (b"x",))).answer is not None


def test_the_first_bad_place_ends_the_reading() -> None:
    """There may be millions, and to describe each would hold up everybody for minutes."""
    several: list[Any] = [[[], [], []], [["", ""]]]
    for bad in several:
        with pytest.raises(ValidationError) as caught:
            QueryBody.model_validate_json(json.dumps({"question": "Where?", "spatial_refs": bad}), strict=True)
        assert caught.value.error_count() == 1


def test_who_leaves_a_stream_leaves_the_model() -> None:
    left = []

    async def said() -> AsyncGenerator[str | ServedAnswer, None]:
        try:
            yield "a "
            yield "circle"
        finally:
            left.append(True)

    async def main() -> None:
        events = _chunks("id", said(), CaptionSkill())
        async for event in events:
            if b"a " in event:
                break
        await events.aclose()
        assert left == [True]

    run(main())
