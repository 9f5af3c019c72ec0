"""The Moondream container API: one picture in base64, a caption or an answer."""

from __future__ import annotations

import base64
from typing import Any

import pytest

import errors
from api import moondream
from tests.unit.doors import Doors, content, error
from tests.unit.files import plain
from vision import prompts
from vision.tasks import Task

PICTURE = plain()
IMAGE = base64.b64encode(PICTURE).decode()
QUESTION = "Is there a circle?"


@pytest.mark.parametrize("model", ["blip2", "gemma", "intern_vlm"])
def test_a_question_is_answered(model: str) -> None:
    doors = Doors()
    expected = {
        "status": "success",
        "answer": "yes",
        "cache": False,
        "model": model,
        "revision": "0123456789ab",
        "weights": "local",
    }
    answer = doors.query(image=IMAGE, question=QUESTION, model=model)
    assert (answer.status_code, content(answer)) == (200, expected)
    assert "compute;dur=300.0" in answer.headers["server-timing"]
    ((job,),) = doors.calls(model)
    assert (job.task, job.images, job.prompt) == (Task.QUERY, (PICTURE,), prompts.query(model, QUESTION))
    again = doors.query(image=f"data:image/png;base64,{IMAGE}", question=QUESTION, model=model)
    assert content(again) == {**expected, "cache": True}
    assert content(doors.query(image=IMAGE, question=f"{QUESTION} ", model=model))["cache"] is False


def test_a_caption_is_made() -> None:
    doors = Doors()
    body = content(doors.caption(image=IMAGE, prompt="a photo of"))
    assert (body["status"], body["caption"], body["model"]) == ("success", "a red circle", "blip")
    assert content(doors.captions(("a.png", PICTURE), caption_prompt="a photo of"))["results"][0]["cache"] is True


def test_who_answers_when_no_model_is_named_can_do_it() -> None:
    doors = Doors()
    for task, model in moondream.MODEL.items():
        answer = doors.caption(image=IMAGE, model=model) if task is Task.CAPTION else None
        answer = answer or doors.query(image=IMAGE, question=QUESTION, model=model)
        assert answer.status_code == 200


@pytest.mark.parametrize("model", ["blip"])
def test_a_model_that_answers_no_questions_is_refused_with_those_that_do(model: str) -> None:
    answer = Doors().query(image=IMAGE, question=QUESTION, model=model)
    assert error(answer) == (400, "task_not_supported", "model")
    assert "blip2, gemma, intern_vlm" in content(answer)["detail"]


@pytest.mark.parametrize(
    ("given", "limit", "asked"), [(None, 512, None), (1, 512, 1), (512, 512, 512), (None, 10, 10), (10, 10, 10)]
)
def test_an_answer_has_as_many_new_tokens_as_asked_for_and_never_more_than_the_limit(
    given: int | None, limit: int, asked: int | None
) -> None:
    doors = Doors(max_new_tokens=limit)
    assert doors.query(image=IMAGE, question=QUESTION, max_new_tokens=given).status_code == 200
    assert doors.caption(image=IMAGE, max_new_tokens=given).status_code == 200
    for model in ("gemma", "blip"):
        ((job,),) = doors.calls(model)
        assert job.max_new_tokens == asked if asked else 20 < job.max_new_tokens <= limit


@pytest.mark.parametrize("count", [0, -1, 513, 10**30])
def test_a_number_of_new_tokens_out_of_bounds_is_named(count: int) -> None:
    doors = Doors()
    for answer in (
        doors.query(image=IMAGE, question=QUESTION, max_new_tokens=count),
        doors.caption(image=IMAGE, max_new_tokens=count),
    ):
        assert error(answer) == (422, "invalid_value", "max_new_tokens")
        assert content(answer)["detail"] == "'max_new_tokens' must be from 1 to 512."


BAD: list[tuple[dict[str, Any], tuple[int, str, str | None]]] = [
    ({"question": ""}, (422, "invalid_value", "question")),
    ({"question": " \n"}, (422, "invalid_value", "question")),
    ({"question": "\ud800"}, (422, "invalid_value", "question")),
    ({"question": "x" * 4001}, (422, "prompt_too_long", "question")),
    ({"image": ""}, (400, "empty_file", "image")),
    ({"image": "no base64!"}, (400, "invalid_request", "image")),
    ({"image": "\ud800"}, (400, "invalid_request", "image")),
    ({"image": "https://example.com/a.png"}, (400, "invalid_request", "image")),
    ({"image": base64.b64encode(b"text").decode()}, (415, "unsupported_image_type", "image")),
    ({"model": "gpt"}, (422, "unknown_model", "model")),
    ({"model": "\ud800"}, (422, "unknown_model", "model")),
]


@pytest.mark.parametrize(("body", "expected"), BAD)
def test_wrong_requests_reach_no_model(body: dict[str, Any], expected: tuple[int, str, str | None]) -> None:
    doors = Doors()
    assert error(doors.query(**{"image": IMAGE, "question": QUESTION, **body})) == expected
    assert not any(doors.calls(name) for name in doors.proxies)


@pytest.mark.parametrize("kind", [errors.CorruptImage, errors.Overloaded, errors.RunnerFailed, errors.ModelNotReady])
def test_what_the_model_refuses_is_told(kind: type[errors.LookseeError]) -> None:
    doors = Doors(lambda _: kind("Not now.", retry_after=2))
    for answer in (doors.query(image=IMAGE, question=QUESTION), doors.caption(image=IMAGE)):
        assert error(answer) == (kind.status, kind.code, None)
        assert answer.headers["retry-after"] == "2"


def test_a_prompt_that_is_too_long_for_the_model_is_named_as_the_caller_knows_it() -> None:
    doors = Doors(lambda _: errors.PromptTooLong("Too long.", param="caption_prompt"))
    assert error(doors.query(image=IMAGE, question=QUESTION)) == (422, "prompt_too_long", "question")
    assert error(doors.caption(image=IMAGE)) == (422, "prompt_too_long", "prompt")
