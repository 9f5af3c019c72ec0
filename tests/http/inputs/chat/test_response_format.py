"""A schema beside json_object, and options of streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.app import Doors, content, error
from tests.http.dialects.test_openai import chat, said, text, user
from tests.http.inputs.test_structured_output import COLOUR, GOOD, PLEASE, in_turn

BESIDE = {"type": "json_object", "schema": COLOUR}


def test_a_schema_beside_json_object_is_followed() -> None:
    doors, as_usual = Doors(in_turn(GOOD)), Doors(in_turn(GOOD))
    assert said(chat(doors, "gemma", user("Which?"), response_format=BESIDE)) == GOOD
    chat(as_usual, "gemma", user("Which?"), response_format=PLEASE)
    assert doors.calls("gemma") == as_usual.calls("gemma")


def test_an_empty_one_is_none() -> None:
    empty: dict[str, Any] = {}
    for nothing in (empty, None):
        wanted: dict[str, Any] = {"type": "json_object", "schema": nothing}
        assert said(chat(Doors(lambda _: "{}"), "gemma", user("Which?"), response_format=wanted)) == "{}"


@pytest.mark.parametrize("kind", ["text", "json_schema"])
def test_beside_another_type_it_is_refused(kind: str) -> None:
    wanted = {**PLEASE, "type": kind, "schema": COLOUR}
    answer = chat(Doors(), "gemma", user("Which?"), response_format=wanted)
    assert error(answer) == (400, "unsupported_parameter", "response_format.schema")
    assert "response_format.json_schema.schema" in content(answer)["detail"]


def test_an_unknown_member_is_refused() -> None:
    answer = chat(Doors(), "gemma", user(text("Which?")), response_format={"type": "json_object", "schemas": {}})
    assert error(answer) == (400, "unsupported_parameter", "response_format.schemas")


@pytest.mark.parametrize("name", ["continuous_usage_stats", "include_obfuscation"])
def test_options_of_streams_that_are_not_done(name: str) -> None:
    def answered(value: Any) -> Any:
        return chat(Doors(), "gemma", user("Who?"), stream=True, stream_options={name: value})

    assert answered(False).status_code == answered(None).status_code == 200
    refused = answered(True)
    assert error(refused) == (400, "unsupported_parameter", f"stream_options.{name}")
    assert json.dumps(False) in content(refused)["detail"]
