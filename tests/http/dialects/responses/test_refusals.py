"""What the Responses API refuses: each by the name that its callers have for it."""

from __future__ import annotations

from typing import Any

import pytest

from looksee.http.app import ROUTES
from tests.http.app import Doors, content
from tests.http.dialects.responses.asking import FORCED, FUNCTION, picture, raw, text, user


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "gpt-4o"}, "model"),
        ({"input": " "}, "input"),
        ({"input": []}, "input"),
        ({"input": "a" * 5_000_000}, "input"),
        ({"instructions": "a", "input": ""}, "input"),
        ({"input": [{"role": "user", "content": [text("")]}]}, "input.0.content"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input.0.role"),
        ({"input": [{"content": "a"}]}, "input.0.role"),
        ({"input": [{"role": "user", "content": "a", "name": "b"}]}, "input.0.name"),
        ({"input": [{"role": "assistant", "content": "a"}]}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0.type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input.0.type"),
        ({"input": [user({"type": "input_file", "file_id": "f"})]}, "input.0.content.0.type"),
        ({"input": [user({"type": "text", "text": "a"})]}, "input.0.content.0.type"),
        ({"input": [user({"type": "input_text"})]}, "input.0.content.0.text"),
        ({"input": [user({"type": "input_image", "image_url": None})]}, "input.0.content.0.image_url"),
        ({"input": [user({"type": "input_image", "file_id": "f"})]}, "input.0.content.0.file_id"),
        ({"input": [user({**picture(), "text": "a"})]}, "input.0.content.0.image_url"),
        ({"input": [user(text("a"), {**picture(), "image_url": "zz!"})]}, "input.0.content.1.image_url"),
        ({"instructions": "a", "input": [user({**picture(), "image_url": "zz!"})]}, "input.0.content.0.image_url"),
        ({"model": "blip", "instructions": "a", "input": [user(picture())]}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"include": ["message.output_text.probabilities"]}, "include.0"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"truncation": "middle"}, "truncation"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"text": {"formt": {"type": "text"}}}, "text.formt"),
        ({"reasoning": {"effort": "much"}}, "reasoning.effort"),
        ({"reasoning": {"effort": "low"}}, "reasoning"),
        ({"tools": [FUNCTION]}, "tools"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({**FORCED, "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({**FORCED, "tools": [{**FUNCTION, "parameters": {"type": "string"}}]}, "tools.0.parameters"),
        ({**FORCED, "text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"model": "blip2", "input": [user(picture())], "text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"messages": []}, "messages"),
        ({"moderation": {"model": "x"}}, "moderation"),
    ],
    ids=lambda value: str(value)[:70],
)
def test_what_is_no_request_is_refused(body: dict[str, Any], param: str) -> None:
    doors = Doors()
    answer = raw(doors, **body)
    found = content(answer)["error"]
    assert answer.status_code in (400, 404, 422)
    assert found["param"] == param, found
    assert "messages" not in found["message"] or param == "messages"
    assert doors.calls("gemma") == []


def test_an_invalid_answer_in_json_names_the_format() -> None:
    answer = raw(Doors(lambda job: "red"), text={"format": {"type": "json_object"}})
    assert content(answer)["error"]["param"] == "text.format"


@pytest.mark.parametrize(
    "path",
    ["/v1/responses/resp_1", "/v1/responses/resp_1/input_items", "/v1/responses/resp_1/cancel", "/v1/conversations"],
)
def test_nothing_is_stored(path: str) -> None:
    refusal = ROUTES.unknown(path)
    assert (refusal.status, refusal.code) == (404, "not_found")
    assert "Nothing is stored here" in refusal.message
