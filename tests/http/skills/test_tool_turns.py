"""Calls of functions in a chat's history are told in words, and nothing of them is lost."""

from __future__ import annotations

from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Turn
from tests.http.app import Doors, error
from tests.http.dialects.test_openai import chat, user
from tests.http.skills.test_conversation import HELLO, read


def call(name: str = "look", arguments: str = '{"at": "it"}', **more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calling(*calls: dict[str, Any], content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(text: Any = "a circle", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "call_1", "content": text, **more}


def test_a_call_and_what_came_of_it_are_two_turns() -> None:
    assert read(HELLO, calling(call()), result()).turns == (
        Turn("user", ("Hello.",)),
        Turn("assistant", ('look({"at": "it"})',)),
        Turn("user", ("look: a circle",)),
    )


def test_what_is_said_beside_them_stays() -> None:
    second = {**call("see", ""), "id": "call_2"}
    talk = read(
        HELLO,
        calling(call(), second, content="Let me see."),
        result(tool_call_id="call_2", name="see"),
        result([{"type": "text", "text": "a"}, {"type": "text", "text": "square"}]),
        {"role": "user", "content": "So?"},
    )
    assert talk.turns[1:] == (
        Turn("assistant", ('Let me see.\nlook({"at": "it"})\nsee()',)),
        Turn("user", ("see: a circle\nlook: a\nsquare\nSo?",)),
    )


def test_a_result_of_a_call_that_is_not_there_stands_alone() -> None:
    assert read(HELLO, calling(call()), result(tool_call_id="other")).turns[-1] == Turn("user", ("a circle",))
    assert read(HELLO, {"role": "tool", "content": "a circle"}).turns == (Turn("user", ("Hello.\na circle",)),)


def test_an_empty_result_says_that_there_was_one() -> None:
    assert read(HELLO, calling(call()), result("")).turns[-1] == Turn("user", ("look: ",))


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "content": "a", "tool_calls": [call()]}, "messages.1.tool_calls"),
        (calling(call(index=0, more=1)), "messages.1.tool_calls.0.more"),
        (calling({**call(), "function": {"name": "f", "args": ""}}), "messages.1.tool_calls.0.function.args"),
        (result([{"type": "image_url", "image_url": "data:,"}]), "messages.1.content.0"),
        ({**calling(), "function_call": {"name": "f"}}, "messages.1.function_call"),
    ],
    ids=["of a user", "a member", "a member of a function", "a picture", "the older form"],
)
def test_what_cannot_be_told_is_refused(message: dict[str, Any], param: str) -> None:
    with pytest.raises(errors.UnsupportedParameter) as caught:
        read(HELLO, message, HELLO)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("calls", "param"),
    [
        ([{"id": "1"}], "messages.0.tool_calls.0.function"),
        ([call() | {"type": "custom"}], "messages.0.tool_calls.0.type"),
        ("look", "messages.0.tool_calls"),
    ],
    ids=["no function", "another kind", "no list"],
)
def test_what_is_no_call(calls: Any, param: str) -> None:
    messages = ({"role": "assistant", "content": None, "tool_calls": calls}, user("Who?"))
    assert error(chat(Doors(), "gemma", *messages)) == (400, "invalid_value", param)


def test_a_model_of_one_turn_takes_none() -> None:
    answer = chat(Doors(weights="sample"), "moondream", user("Who?"), calling(call()), result())
    assert error(answer)[:2] == (400, "task_not_supported")
