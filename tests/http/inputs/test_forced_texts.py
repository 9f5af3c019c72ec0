"""Answers that are one of several texts or match an expression, in every dialect that has them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from looksee.core.tasks import Grammar, Task
from tests.http.app import Doors, content, error
from tests.http.dialects.test_openai import RED, chat, image, said, text, user

YES_NO = Grammar("choices", '["yes", "no"]')
ZIP = Grammar("regex", "[0-9]{5}")
PICTURE = base64.b64encode(RED).decode()


def query(doors: Doors, model: str = "gemma", **more: Any) -> Any:
    body = {"model": model, "image_url": f"data:image/png;base64,{PICTURE}", "question": "Is it?", **more}
    return doors.send("/v1/query", json=body)


def batch(doors: Doors, **more: Any) -> Any:
    item = {"task": "query", "model": "gemma", "image": PICTURE, "question": "Is it?", **more}
    return doors.send("/v1/batch", json={"items": [item]})


@pytest.mark.parametrize("model", ["blip2", "gemma", "intern_vlm", "moondream"])
@pytest.mark.parametrize(("asked", "grammar"), [({"choices": ["yes", "no"]}, YES_NO), ({"regex": "[0-9]{5}"}, ZIP)])
def test_every_dialect_has_them(model: str, asked: dict[str, Any], grammar: Grammar) -> None:
    doors = Doors(lambda _: "yes")
    assert query(doors, model, **asked).status_code == 200
    assert batch(doors, **{"model": model, **asked}).status_code == 200
    assert said(chat(doors, model, user(image(), text("Is it?")), **asked)) == "yes"
    jobs = [job for jobs in doors.calls(model) for job in jobs]
    assert len(jobs) >= 2  # some ask in the same words, and are answered by the cache
    assert {(job.task, job.grammar) for job in jobs} == {(Task.QUERY, grammar)}


def test_without_them_answers_are_free() -> None:
    doors = Doors(lambda _: "yes")
    query(doors)
    chat(doors, "gemma", user(image(), text("Is it?")), choices=[], regex="")
    assert [job.grammar for jobs in doors.calls("gemma") for job in jobs] == [None, None]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"choices": ["yes"], "regex": "a"}, (400, "invalid_request", "regex")),
        ({"choices": ["yes", " no"]}, (422, "invalid_value", "choices.1")),
        ({"choices": [" "]}, (422, "invalid_value", "choices.0")),
        ({"choices": ["a"] * 101}, (422, "invalid_value", "choices")),
        ({"choices": "yes"}, (422, "invalid_value", "choices")),
        ({"choices": ["a" * 4001]}, (422, "prompt_too_long", "choices")),
        ({"regex": "a" * 1001}, (422, "invalid_value", "regex")),
        ({"guided_choice": ["yes"]}, (400, "unsupported_parameter", "guided_choice")),
        ({"guided_regex": "a"}, (400, "unsupported_parameter", "guided_regex")),
        ({"structured_outputs": {"choice": ["yes"]}}, (400, "unsupported_parameter", "structured_outputs")),
        ({"choices": ["yes"], "response_format": {"type": "json_object"}}, (400, "invalid_request", "choices")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused(asked: dict[str, Any], expected: tuple[int, str, str]) -> None:
    doors = Doors(lambda _: "yes")
    status, code, param = expected  # on `/v1/query`; chats have OpenAI's
    own = (400, "context_length_exceeded" if code == "prompt_too_long" else code, param)
    assert error(chat(doors, "gemma", user("Is it?"), **asked)) == own
    if not {"guided_choice", "guided_regex", "structured_outputs", "response_format"} & asked.keys():
        assert error(query(doors, **asked)) == (status, code, param)
    assert doors.calls("gemma") == []


def test_other_servers_names_lead_to_ours() -> None:
    answer = chat(Doors(), "gemma", user("Is it?"), guided_choice=["yes"])
    assert "'choices'" in content(answer)["detail"]


def test_a_model_that_cannot_be_forced_is_named() -> None:
    answer = chat(Doors(), "blip", user(image(), text("a")), choices=["yes"])
    assert error(answer) == (400, "task_not_supported", "choices")
    assert "blip2, gemma, intern_vlm, moondream" in content(answer)["detail"]
