"""Turns that are put into one question: where the published weights can read them, and never for sample weights."""

from __future__ import annotations

from typing import Any

import pytest

from looksee.core.tasks import Job, Task
from tests.http.app import Doors, content, error
from tests.http.dialects.test_openai import BLUE, RED, chat, image, says, text, user

BRIEF = says("system", "Be brief.")
ASKED = (user(image(), text("Who is it?")), says("assistant", "A circle."), user("What color?"))


def job(model: str, *messages: dict[str, Any]) -> Job:
    doors = Doors()
    answer = chat(doors, model, *messages)
    assert answer.status_code == 200, content(answer)
    ((found,),) = doors.calls(model)
    return found


def test_instructions_stand_before_moondreams_question() -> None:
    found = job("moondream", BRIEF, says("developer", "Be kind."), user(text("Who?"), image()))
    assert found == Job(Task.QUERY, (RED,), "Be brief. Be kind. Who?", 200)
    assert job("moondream", BRIEF, user("Who?")) == Job(Task.QUERY, (), "Be brief. Who?", 200)


def test_earlier_questions_stand_before_blip2s_last_one() -> None:
    assert job("blip2", *ASKED).prompt == "Question: Who is it? Answer: A circle. Question: What color? Answer:"
    again = (*ASKED, says("assistant", "red"), user(text("Sure?")))
    assert job("blip2", *again) == Job(
        Task.QUERY,
        (RED,),
        "Question: Who is it? Answer: A circle. Question: What color? Answer: red. Question: Sure? Answer:",
        200,
    )


@pytest.mark.parametrize(
    ("model", "messages"),
    [
        ("moondream", ASKED),
        ("moondream", (BRIEF, *ASKED)),
        ("moondream", (BRIEF, user(image()))),
        ("moondream", (user("Hm."), BRIEF, user("Who?"))),
        ("blip2", (BRIEF, user(text("Who?"), image()))),
        ("blip2", (user(image()), *ASKED[1:])),
        ("blip2", (says("assistant", "Hello."), user(text("Who?"), image()))),
        ("blip", (BRIEF, user(image()))),
        ("blip", ASKED),
    ],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
def test_what_their_words_do_not_allow_is_refused(model: str, messages: tuple[dict[str, Any], ...]) -> None:
    doors = Doors()
    answer = chat(doors, model, *messages)
    assert error(answer)[:2] == (400, "task_not_supported")
    assert "These take a chat: gemma, intern_vlm." in content(answer)["detail"]
    assert doors.calls(model) == []


def test_two_pictures_are_still_too_many() -> None:
    answer = chat(Doors(), "blip2", *ASKED[:2], user(image(BLUE), text("And it?")))
    assert error(answer) == (400, "task_not_supported", "messages.2.content.0.image_url")
    assert BLUE != RED


@pytest.mark.parametrize(("model", "messages"), [("moondream", (BRIEF, user("Who?"))), ("blip2", ASKED)])
def test_sample_weights_have_not_learnt_it(model: str, messages: tuple[dict[str, Any], ...]) -> None:
    assert error(chat(Doors(weights="sample"), model, *messages)) == (400, "task_not_supported", "messages.0.role")
