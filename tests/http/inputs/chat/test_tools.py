"""Functions: the one that is forced is called with arguments of its schema; what else would call one is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Answer
from tests.http.app import Doors, content, error
from tests.http.dialects.test_openai import chat, events, image, text, user

SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
GOOD = '{"colour": "red"}'


def tool(name: str = "paint", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **more}}


def named(name: str = "paint") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


QUESTION = user(image(), text("Which colour?"))
REQUIRED: dict[str, Any] = {"tools": [tool()], "tool_choice": "required"}
NAMED: dict[str, Any] = {"tools": [tool(), tool("other")], "tool_choice": named()}


@pytest.mark.parametrize("model", ["gemma", "intern_vlm"])
@pytest.mark.parametrize(("options", "finish"), [(REQUIRED, "tool_calls"), (NAMED, "stop")])
def test_a_forced_function_is_called(model: str, options: dict[str, Any], finish: str) -> None:
    answer = content(chat(Doors(lambda _: GOOD), model, QUESTION, parallel_tool_calls=False, **options))
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == finish
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert call.pop("id").startswith("call_")
    assert call == {"type": "function", "function": {"name": "paint", "arguments": GOOD}}
    assert answer["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize(("options", "finish"), [(REQUIRED, "tool_calls"), (NAMED, "stop")])
def test_it_is_called_in_a_stream(options: dict[str, Any], finish: str) -> None:
    doors = Doors(lambda _: GOOD)
    asked = {**options, "stream_options": {"include_usage": True}, "stream": True}
    first, *told, last, usage, end = events(chat(doors, "gemma", QUESTION, **asked))
    assert (end, usage["choices"]) == ("[DONE]", [])
    (call,) = first["choices"][0]["delta"]["tool_calls"]
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert (call["index"], call["type"], call["function"]) == (0, "function", {"name": "paint", "arguments": ""})
    assert call["id"].startswith("call_")
    pieces = [one["choices"][0]["delta"]["tool_calls"] for one in told]
    assert all(set(piece) == {"index", "function"} and piece["index"] == 0 for (piece,) in pieces)
    assert "".join(piece["function"]["arguments"] for (piece,) in pieces) == GOOD
    assert last["choices"][0]["finish_reason"] == finish


def test_the_model_reads_what_the_function_is_called_and_for() -> None:
    doors = Doors(lambda _: GOOD)
    chat(doors, "gemma", QUESTION, tools=[tool(description="Paints it.")], tool_choice=named())
    ((job,),) = doors.calls("gemma")
    assert json.loads(job.prompt[job.prompt.index("{") :]) == {"title": "paint", "description": "Paints it.", **SCHEMA}


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_function_without_parameters(parameters: Any) -> None:
    answer = chat(Doors(lambda _: "{}"), "gemma", QUESTION, tools=[tool(parameters=parameters)], tool_choice="required")
    assert content(answer)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_several_answers_are_several_calls() -> None:
    answer = content(chat(Doors(lambda _: GOOD), "gemma", QUESTION, n=2, temperature=0.5, **REQUIRED))
    ids = {choice["message"]["tool_calls"][0]["id"] for choice in answer["choices"]}
    assert len(ids) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [tool()], "tool_choice": "none"},
        {"tools": [], "tool_choice": "auto"},
        {"tools": None, "tool_choice": None},
        {"tool_choice": "none"},
    ],
    ids=json.dumps,
)
def test_where_none_is_called_the_answer_is_plain(options: dict[str, Any]) -> None:
    doors, plain = Doors(), Doors()
    answer = content(chat(doors, "gemma", QUESTION, **options))
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "yes", "refusal": None}
    chat(plain, "gemma", QUESTION)
    assert doors.calls("gemma") == plain.calls("gemma")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tools": [tool()]}, "tools"),
        ({"tools": [tool()], "tool_choice": "auto"}, "tools"),
        ({"tools": [tool(), tool("other")], "tool_choice": "required"}, "tool_choice"),
    ],
    ids=["no choice", "auto", "required of two"],
)
def test_a_choice_of_the_models_own_is_refused_with_what_works(options: dict[str, Any], param: str) -> None:
    doors = Doors()
    answer = chat(doors, "gemma", QUESTION, **options)
    assert error(answer) == (400, "unsupported_parameter", param)
    assert content(answer)["detail"] == (
        "Functions are called here only where one is forced: send 'tool_choice' as "
        '{"type": "function", "function": {"name": "paint"}}, as "required" beside a single tool, or as "none" for an '
        "answer in words."
    )
    assert doors.calls("gemma") == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tool_choice": "required"}, ("invalid_request", "tool_choice")),
        ({"tool_choice": named()}, ("invalid_request", "tool_choice")),
        ({"tools": [tool()], "tool_choice": named("nope")}, ("invalid_value", "tool_choice.function.name")),
        ({"tools": [tool()], "tool_choice": "any"}, ("invalid_value", "tool_choice")),
        ({"tools": [tool()], "tool_choice": {"type": "allowed_tools"}}, ("invalid_value", "tool_choice")),
        ({"tools": [tool()], "tool_choice": {**named(), "type": "custom"}}, ("invalid_value", "tool_choice.type")),
        ({"tools": [{"type": "custom", "custom": {}}]}, ("invalid_value", "tools.0")),
        ({"tools": [{"type": "function"}]}, ("invalid_value", "tools.0.function")),
        ({"tools": [{**tool(), "strict": True}], "tool_choice": "none"}, ("unsupported_parameter", "tools.0.strict")),
        ({"tools": [tool(parameter=1)], "tool_choice": "none"}, ("unsupported_parameter", "tools.0.function.param")),
        ({"tools": [tool()] * 129}, ("invalid_value", "tools")),
        (
            {"tools": [tool(parameters={"type": "array"})], "tool_choice": "required"},
            ("invalid_value", "tools.0.function.parameters"),
        ),
        (
            {"tools": [tool("a"), tool(parameters={"$ref": "#/nope"})], "tool_choice": named()},
            ("invalid_request", "tools.1.function.parameters"),
        ),
        ({**REQUIRED, "response_format": {"type": "json_object"}}, ("invalid_request", "response_format")),
    ],
    ids=lambda value: "",
)
def test_what_is_no_choice_of_a_function(options: dict[str, Any], expected: tuple[str, str]) -> None:
    doors = Doors()
    answer = chat(doors, "gemma", QUESTION, **options)
    status, code, param = error(answer)
    assert (status, code) == (400, expected[0]), content(answer)
    assert (param or "").startswith(expected[1])
    assert "response_format.json_schema" not in content(answer)["detail"]
    assert doors.calls("gemma") == []


def test_a_model_that_cannot_is_refused() -> None:
    assert error(chat(Doors(), "blip", QUESTION, **REQUIRED))[:2] == (400, "task_not_supported")


def test_response_format_of_text_may_stand_beside() -> None:
    answer = chat(Doors(lambda _: GOOD), "gemma", QUESTION, response_format={"type": "text"}, **REQUIRED)
    assert answer.status_code == 200


def test_a_call_that_was_cut_says_so() -> None:
    answer = content(chat(Doors(lambda _: Answer(GOOD, "length", 3, 4)), "gemma", QUESTION, **REQUIRED))
    assert answer["choices"][0]["finish_reason"] == "length"


def test_an_error_in_mid_stream_is_told_in_the_callers_words() -> None:
    doors = Doors(lambda _: errors.RunnerFailed("it fell over"))
    assert error(chat(doors, "gemma", QUESTION, stream=True, **REQUIRED)) == (502, "runner_failed", None)
