"""Answers in JSON: the model is told and forced, its answer is checked, and schemas do no harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Answer, Grammar, Job, Sampling, Turn
from looksee.http.inputs.forced import schemas
from looksee.http.inputs.structured_output import StructuredOutput
from tests.http.app import Doors, Said, content, error
from tests.http.dialects.test_openai import RED, asked, chat, events, image, said, says, text, user

COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "pattern": {"type": "string"}},
    "required": ["colour"],
    "additionalProperties": False,
}
GOOD = '{"colour": "red"}'
PLEASE = {"type": "json_schema", "json_schema": {"name": "colour", "schema": COLOUR, "strict": True}}
OBJECT = {"type": "json_object"}


def wants(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}


def in_turn(*answers: str) -> Callable[[Job], Said]:
    """A model that says one after the other, and then the last one again."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("model", ["gemma", "intern_vlm"])
def test_the_model_is_told_and_forced(model: str) -> None:
    doors = Doors(lambda _: GOOD)
    answer = chat(doors, model, user(image(), text("Which colour?")), response_format=PLEASE)
    assert (answer.status_code, said(answer)) == (200, GOOD)
    ((job,),) = doors.calls(model)
    assert job.images == (RED,)
    words, _, schema = job.prompt.partition("\n\nAnswer with JSON only")
    assert (words, json.loads(schema.partition("\n")[2])) == ("Which colour?", COLOUR)
    assert job.grammar is not None
    assert (job.grammar.kind, json.loads(job.grammar.text)) == ("json_schema", COLOUR)


@pytest.mark.parametrize("model", ["blip2", "moondream"])
def test_models_that_follow_no_instructions_are_forced_too(model: str) -> None:
    doors = Doors(lambda _: "{}")
    assert said(chat(doors, model, user(image(), text("Which?")), response_format=OBJECT)) == "{}"
    ((job,),) = doors.calls(model)
    assert job.grammar == Grammar("json_object")
    assert "Which? Answer with one JSON object only" in job.prompt


def test_instructions_stand_at_the_end_of_a_chat() -> None:
    doors = Doors(lambda _: GOOD)
    messages = (says("system", "Be brief."), user(text("Which?"), image()))
    assert said(chat(doors, "gemma", *messages, response_format=OBJECT)) == GOOD
    ((job,),) = doors.calls("gemma")
    assert job.turns == (
        Turn("system", ("Be brief.",)),
        Turn("user", (None, "Which?\n\nAnswer with one JSON object only, without other text.")),
    )


def test_text_is_what_it_always_was() -> None:
    assert asked("gemma", user("Who?"), response_format={"type": "text"}).prompt == "Who?"


@pytest.mark.parametrize("answer", [f"```json\n{GOOD}\n```", f"```\n{GOOD}```", f"\n {GOOD} \n"])
def test_a_fence_is_taken_off(answer: str) -> None:
    assert said(chat(Doors(lambda _: answer), "gemma", user("Which?"), response_format=PLEASE)) == GOOD


BAD = ["red", "", '{"colour": "green"}', '{"colour": "red", "size": 1}', f"Sure! {GOOD}", f"{GOOD[:-2]}", "[" * 100_000]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_what_was_not_wanted_is_asked_for_again(bad: str) -> None:
    doors = Doors(in_turn(bad, bad, GOOD))
    assert said(chat(doors, "gemma", user("Which?"), response_format=PLEASE)) == GOOD
    samplings = [job.sampling for (job,) in doors.calls("gemma")]
    assert samplings[0] == Sampling()
    assert [one.seed for one in samplings[1:]] == [1, 2]
    assert all(one.temperature > 0 for one in samplings[1:])


@pytest.mark.parametrize(
    ("options", "samplings"),
    [
        ({"temperature": 0.2, "seed": 7}, [Sampling(0.2, seed=7), Sampling(0.2, seed=8), Sampling(0.2, seed=9)]),
        ({"temperature": 0.2, "top_p": 0.5}, [Sampling(0.2, 0.5)] * 3),
    ],
)
def test_further_tries_are_other_draws(options: dict[str, Any], samplings: list[Sampling]) -> None:
    doors = Doors(lambda _: "red")
    answer = chat(doors, "gemma", user("Which?"), response_format=PLEASE, **options)
    assert error(answer) == (400, "structured_output_failed", "response_format")
    assert [job.sampling for (job,) in doors.calls("gemma")] == samplings


@pytest.mark.parametrize("stream", [True, False])
def test_what_never_comes_is_an_honest_error(stream: bool) -> None:
    doors = Doors(lambda _: Answer("[1]", "stop", 1, 5))
    answer = chat(doors, "gemma", user("Which?"), response_format=OBJECT, stream=stream)
    assert error(answer) == (400, "structured_output_failed", "response_format")
    assert len(doors.calls("gemma")) == 3


def test_what_was_cut_is_told_as_it_is() -> None:
    """As OpenAI does: its packages raise an error of their own for that reason of an end."""
    doors = Doors(lambda _: Answer('{"colour": "r', "length", 1, 5))
    answer = chat(doors, "gemma", user("Which?"), response_format=PLEASE)
    assert said(answer) == '{"colour": "r'
    assert content(answer)["choices"][0]["finish_reason"] == "length"
    *told, last, _ = events(chat(doors, "gemma", user("Which?"), response_format=PLEASE, stream=True))
    assert "".join(one["choices"][0]["delta"]["content"] for one in told) == '{"colour": "r'
    assert last["choices"][0]["finish_reason"] == "length"
    assert len(doors.calls("gemma")) == 1


def test_a_stop_string_ends_json_too() -> None:
    doors = Doors(lambda _: Answer('{"colour": "r', "stop", 1, 5))
    answer = chat(doors, "gemma", user("Which?"), response_format=PLEASE, stop="ed")
    assert (said(answer), content(answer)["choices"][0]["finish_reason"]) == ('{"colour": "r', "stop")
    assert error(chat(doors, "gemma", user("Which?"), response_format=PLEASE))[1] == "structured_output_failed"


def test_an_error_of_the_model_ends_the_tries() -> None:
    doors = Doors(lambda _: errors.Overloaded("full", retry_after=1))
    assert error(chat(doors, "gemma", user("Which?"), response_format=OBJECT))[1] == "overloaded"
    assert len(doors.calls("gemma")) == 1


def test_a_stream_tells_the_checked_whole() -> None:
    doors = Doors(in_turn("no", f"```json\n{GOOD}\n```"))
    *told, last, end = events(chat(doors, "gemma", user("Which?"), response_format=PLEASE, stream=True))
    assert "".join(one["choices"][0]["delta"]["content"] for one in told) == GOOD
    assert (last["choices"][0]["finish_reason"], end) == ("stop", "[DONE]")


@pytest.mark.parametrize("bad", ["[1]", "1", '"a"', "null", "{'a': 1}", '{"a": NaN}', '{"a": Infinity}'])
def test_an_object_is_an_object(bad: str) -> None:
    assert StructuredOutput().found(bad) is None
    assert StructuredOutput().found("{}") == "{}"


@pytest.mark.parametrize("wanted", [OBJECT, PLEASE])
def test_a_model_that_cannot_be_forced_is_not_asked(wanted: dict[str, Any]) -> None:
    doors = Doors()
    answer = chat(doors, "blip", user(image(), text("Which?")), response_format=wanted)
    assert error(answer) == (400, "task_not_supported", "response_format")
    assert "blip2, gemma, intern_vlm, moondream" in content(answer)["detail"]
    assert doors.calls("blip") == []


SCHEMA = "response_format.json_schema.schema"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, (400, "invalid_request", SCHEMA)),
        ({"type": "colour"}, (400, "invalid_request", SCHEMA)),
        ({"properties": []}, (400, "invalid_request", SCHEMA)),
        ({"properties": {"a": {"minimum": "1"}}}, (400, "invalid_request", SCHEMA)),
        ({"$ref": "#/$defs/a"}, (400, "invalid_request", SCHEMA)),
        ({"$ref": "#/x", "x": {"type": "string"}}, (400, "invalid_request", SCHEMA)),
        ({"$ref": "http://127.0.0.1:9/a.json"}, (400, "invalid_request", SCHEMA)),
        ({"$ref": "file:///etc/passwd"}, (400, "invalid_request", SCHEMA)),
        ({"$id": "http://127.0.0.1:9/", "$ref": "a"}, (400, "invalid_request", SCHEMA)),
        ({"pattern": "a", "not": {}}, (400, "invalid_request", SCHEMA)),
        ({"allOf": [{"pattern": "a"}]}, (400, "invalid_request", SCHEMA)),
        ({"items": {"anyOf": [{}], "pattern": "a"}}, (400, "invalid_request", SCHEMA)),
        ({"$ref": "#/$defs/a", "pattern": "b", "$defs": {"a": {}}}, (400, "invalid_request", SCHEMA)),
        ({"x-guidance": {"lenient": True}}, (400, "invalid_request", SCHEMA)),
        ({"$defs": {"a": {"patternProperties": {"a": True}}}}, (400, "invalid_request", SCHEMA)),
        ({"uniqueItems": True}, (400, "invalid_request", SCHEMA)),
        ({"unevaluatedProperties": False}, (400, "invalid_request", SCHEMA)),
        ({"description": "a" * 4000}, (400, "context_length_exceeded", SCHEMA)),
        ([], (400, "invalid_value", SCHEMA)),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_schema_that_is_none_or_asks_too_much(schema: Any, expected: tuple[int, str, str]) -> None:
    doors = Doors(lambda _: GOOD)
    assert error(chat(doors, "gemma", user("Which?"), response_format=wants(schema))) == expected
    assert doors.calls("gemma") == []


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, "5", "5.5"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "maxItems": 1}, "[1]", "[1, 2]"),
        (
            {"properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}, "required": ["kids"]},
            '{"kids": [{"kids": []}]}',
            '{"kids": [{"kids": [{}]}]}',
        ),
        ({"anyOf": [{"type": "null"}, {"type": "string", "minLength": 2}]}, '"ab"', '"a"'),
        ({"properties": {"pattern": {"const": 1}, "$ref": {"const": 2}}}, '{"pattern": 1, "$ref": 2}', '{"$ref": 1}'),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, '{"b": 1}', '{"a": 1}'),
        ({"items": False}, "[]", "[1]"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_a_schema_is_followed(schema: dict[str, Any], good: str, bad: str) -> None:
    doors = Doors(in_turn(bad, good))
    assert said(chat(doors, "gemma", user("Which?"), response_format=wants(schema))) == good
    assert len(doors.calls("gemma")) == 2


def doubling(depth: int, **more: Any) -> dict[str, Any]:
    """A schema of a few hundred characters that takes two to the `depth` steps to check."""
    steps: dict[str, Any] = {str(number): {"allOf": [{"$ref": f"#/$defs/{number + 1}"}] * 2} for number in range(depth)}
    steps["0"] |= more
    return {"$ref": "#/$defs/0", "$defs": {**steps, str(depth): {"type": "integer"}}}


@pytest.mark.parametrize(
    "schema",
    [doubling(40), {"$ref": "#"}, doubling(40, **{"$schema": "http://json-schema.org/draft-07/schema#"})],
    ids=["doubling", "endless", "another draft"],
)
def test_a_check_that_takes_too_long_ends(schema: dict[str, Any]) -> None:
    """Unbounded it would take weeks."""
    answer = chat(Doors(lambda _: "1"), "gemma", user("Which?"), response_format=wants(schema))
    assert error(answer) == (400, "structured_output_failed", "response_format")


def test_numbers_that_cannot_be_compared_are_not_what_was_wanted() -> None:
    assert StructuredOutput({"multipleOf": 0.1}).found("1" + "0" * 400) is None
    assert StructuredOutput({"type": "integer"}).found("9" * 5000) is None


def test_patterns_are_forced_and_not_checked() -> None:
    """A check would be Python's, which may take for ever."""
    wanted = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    answer = json.dumps({"a": "a" * 60 + "b"})
    doors = Doors(lambda _: answer)
    assert said(chat(doors, "gemma", user("Which?"), response_format=wants(wanted))) == answer
    ((job,),) = doors.calls("gemma")
    assert job.grammar is not None
    assert json.loads(job.grammar.text) == {**wanted, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "left"),
    [
        ({"not": {"type": "null"}, "type": "array"}, {"type": "array"}),
        ({"items": {"if": {}, "then": {"minItems": 1}}}, {"items": {"then": {"minItems": 1}}}),
        ({"type": "integer", "multipleOf": 5}, {"type": "integer", "multipleOf": 5}),
        ({"type": "integer", "multipleOf": 1234567}, {"type": "integer"}),
        ({"type": "number", "multipleOf": 0.1}, {"type": "number"}),
        ({"pattern": "a", "minLength": 2, "maxLength": 9, "format": "date"}, {"pattern": "a"}),
        ({"allOf": [{"multipleOf": 7}, {"multipleOf": 9}]}, {"allOf": [{}, {}]}),
        ({"allOf": [{"format": "date"}, {"format": "uuid"}]}, {"allOf": [{}, {}]}),
        ({"anyOf": [{"format": "date"}], "title": "When"}, {"anyOf": [{"format": "date"}], "title": "When"}),
        ({"properties": {"not": {}}}, {"properties": {"not": {}}, "additionalProperties": False}),
        ({"properties": {"a": {}}, "required": ["b"]}, {"properties": {"a": {}}, "required": ["b"]}),
        ({"properties": {"a": {}}, "minProperties": 2}, {"properties": {"a": {}}, "minProperties": 2}),
        ({"properties": {"a": {}}, "additionalProperties": {}}, {"properties": {"a": {}}, "additionalProperties": {}}),
        ({"allOf": [{"properties": {"a": {}}}]}, {"allOf": [{"properties": {"a": {}}}]}),
        ({"properties": {}}, {"properties": {}}),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_what_would_cost_too_much_is_left_to_the_check(schema: dict[str, Any], left: dict[str, Any]) -> None:
    before = json.dumps(schema)
    assert schemas.forced(schema) == left
    assert json.dumps(schema) == before
