"""Anthropic's Messages API: what is asked of each model, what is refused, and what comes back."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from looksee.core import errors
from looksee.core.tasks import GREEDY, Answer, Job, Reasoning, Sampling, Turn
from looksee.http.apis.own_names import OwnNames
from looksee.http.app import ROUTES
from looksee.http.dialects.anthropic.replies import MessageReply
from looksee.http.request_info import request_scope
from tests.http.app import Doors, content
from tests.support.files import plain
from tests.support.loops import run

RED, BLUE = plain(), plain(colour=(0, 0, 200))
SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
TOOLS = [{"name": "note", "description": "Notes a colour.", "input_schema": SCHEMA}]
USED = {"tools": TOOLS, "tool_choice": {"type": "tool", "name": "note"}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def picture(data: bytes = RED) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data).decode()}
    return {"type": "image", "source": source}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def raw(doors: Doors, **body: Any) -> httpx.Response:
    return doors.send("/v1/messages", json={"model": "gemma", "max_tokens": 50, "messages": [user("What?")], **body})


def create(doors: Doors, **body: Any) -> Any:
    answer = raw(doors, **body)
    assert answer.status_code == 200, answer.text
    return content(answer)


def asked_of(doors: Doors, model: str = "gemma") -> Job:
    ((job,),) = doors.calls(model)
    return job


def told(answer: httpx.Response) -> list[dict[str, Any]]:
    found = []
    for block in filter(None, answer.text.split("\n\n")):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def test_a_picture_and_a_question() -> None:
    doors = Doors()
    answer = create(doors, messages=[user(picture(), text("What?"))])
    assert (asked_of(doors).images, asked_of(doors).prompt) == ((RED,), "What?")
    assert (answer["type"], answer["role"], answer["model"]) == ("message", "assistant", "gemma")
    assert answer["content"] == [{"type": "text", "text": "yes", "citations": None}]
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (1, 2)
    assert answer["weights"] == "local"


def test_turns_and_instructions() -> None:
    doors = Doors()
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    create(
        doors,
        system=[{**text("Be brief."), "cache_control": {"type": "ephemeral"}}],
        messages=[
            user(picture(), text("What?")),
            {"role": "assistant", "content": [thought, {**text("red"), "citations": None}]},
            user(picture(BLUE), text("And this?")),
        ],
    )
    job = asked_of(doors)
    assert job.images == (RED, BLUE)
    assert job.turns == (
        Turn("system", ("Be brief.",)),
        Turn("user", (None, "What?")),
        Turn("assistant", ("red",)),
        Turn("user", (None, "And this?")),
    )


@pytest.mark.parametrize(
    ("options", "sampling"),
    [
        ({}, GREEDY),
        ({"temperature": 0, "top_k": 5}, GREEDY),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 40}, Sampling(0.5, 0.9, 40)),
        ({"metadata": {"user_id": "x"}, "service_tier": "auto", "mcp_servers": [], "speed": "standard"}, GREEDY),
        ({"thinking": {"type": "disabled"}, "tools": [], "tool_choice": {"type": "auto"}}, GREEDY),
        ({"tools": TOOLS, "tool_choice": {"type": "none"}}, GREEDY),
    ],
    ids=str,
)
def test_how_it_is_written(options: dict[str, Any], sampling: Sampling) -> None:
    doors = Doors()
    create(doors, stop_sequences=["end"], **options)
    assert (asked_of(doors).sampling, asked_of(doors).stop) == (sampling, ("end",))


@pytest.mark.parametrize(("wanted", "tokens", "header"), [(7, 7, None), (100_000, 1024, "1024")])
@pytest.mark.parametrize("stream", [False, True])
def test_new_tokens(wanted: int, tokens: int, header: str | None, stream: bool) -> None:
    doors = Doors()
    answer = raw(doors, max_tokens=wanted, stream=stream)
    assert asked_of(doors).max_new_tokens == tokens
    assert answer.headers.get("x-looksee-max-tokens") == header


def test_an_answer_that_was_cut() -> None:
    assert create(Doors(lambda job: Answer("red", "length", 1, 2)))["stop_reason"] == "max_tokens"


def test_a_stream_has_all_its_events() -> None:
    events = told(raw(Doors(lambda job: "a red circle"), stream=True))
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "".join(event["delta"]["text"] for event in events[2:-3]) == "a red circle"
    assert events[0]["message"]["content"] == []
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert events[-2]["usage"]["input_tokens"] == 1  # known at the end alone


def test_thoughts_come_before_the_answer() -> None:
    says = Doors(lambda job: Answer("two", "stop", 1, 2, reasoning=Reasoning("I count.")))
    thinks = {"model": "moondream", "thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert [block["type"] for block in create(says, **thinks)["content"]] == ["thinking", "text"]
    events = told(raw(says, **thinks, stream=True))
    assert [event["content_block"]["type"] for event in events if "content_block" in event] == ["thinking", "text"]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert [delta["type"] for delta in deltas] == ["thinking_delta", "signature_delta", "text_delta"]
    assert [event["index"] for event in events if "index" in event] == [0] * 4 + [1] * 3


def test_a_tool_that_has_to_be_used() -> None:
    doors = Doors(lambda job: '{"colour": "red"}')
    for choice in (USED["tool_choice"], {"type": "any"}):
        answer = create(doors, tools=TOOLS, tool_choice=choice)
        (block,) = answer["content"]
        assert (block["type"], block["name"], block["input"]) == ("tool_use", "note", {"colour": "red"})
        assert answer["stop_reason"] == "tool_use"
    events = told(raw(doors, **USED, stream=True))
    assert events[1]["content_block"]["input"] == {}
    assert json.loads("".join(event["delta"]["partial_json"] for event in events[2:-3])) == {"colour": "red"}


def test_json_of_a_schema() -> None:
    doors = Doors(lambda job: '{"colour": "red"}')
    wanted = {"type": "json_schema", "schema": SCHEMA}
    for options in ({"output_config": {"format": wanted}}, {"output_format": wanted}):
        assert json.loads(create(doors, **options)["content"][0]["text"]) == {"colour": "red"}


def test_a_failure_in_mid_stream_is_an_event() -> None:
    async def read() -> bytes:
        async def pieces() -> Any:
            yield "a red"
            raise errors.RunnerFailed("It broke.")

        return b"".join([line async for line in MessageReply("gemma").events(pieces(), OwnNames({}))])

    *_, last = told(httpx.Response(200, content=run(read())))
    assert last["type"] == "error"
    assert last["error"] == {"type": "api_error", "message": "It broke.", "code": "runner_failed", "param": None}


@pytest.mark.parametrize(
    ("body", "status", "kind", "param"),
    [
        ({"model": "claude"}, 404, "not_found_error", "model"),
        ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens"),
        ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens"),
        ({"messages": []}, 400, "invalid_request_error", "messages"),
        ({"messages": [user(" ")]}, 400, "invalid_request_error", "messages.0.content"),
        ({"system": "a", "messages": [user(" ")]}, 400, "invalid_request_error", "messages.0.content"),
        ({"messages": [{"role": "system", "content": "a"}]}, 400, "invalid_request_error", "messages.0.role"),
        ({"messages": [user("a"), {"role": "assistant", "content": "b"}]}, 400, "invalid_request_error", "messages"),
        ({"system": [picture()]}, 400, "invalid_request_error", "system.0.source.data"),
        ({"messages": [user({"type": "document"})]}, 400, "invalid_request_error", "messages.0.content.0.type"),
        (
            {"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
            400,
            "invalid_request_error",
            "messages.0.content.0.source.type",
        ),
        (
            {"messages": [user({"type": "image", "source": {"type": "base64", "data": "http://a.example/b"}})]},
            400,
            "invalid_request_error",
            "messages.0.content.0.source.data",
        ),
        (
            {"system": "a", "messages": [user({"type": "image", "source": {"type": "base64", "data": "zz!"}})]},
            400,
            "invalid_request_error",
            "messages.0.content.0.source.data",
        ),
        (
            {"messages": [user({"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}})]},
            400,
            "invalid_request_error",
            "messages.0.content.0.source.url",
        ),
        ({"tools": TOOLS}, 400, "invalid_request_error", "tools"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "x"}}, 400, "invalid_request_error", "tool_choice"),
        (
            {**USED, "output_format": {"type": "json_schema", "schema": SCHEMA}},
            400,
            "invalid_request_error",
            "output_format",
        ),
        ({"output_format": {"type": "json_schema"}}, 400, "invalid_request_error", "output_format.schema"),
        ({"thinking": {"type": "enabled"}}, 400, "invalid_request_error", "thinking"),
        ({"thinking": {"type": "deep"}}, 400, "invalid_request_error", "thinking.type"),
        ({"container": "c"}, 400, "invalid_request_error", "container"),
        ({"mcp_servers": [{}]}, 400, "invalid_request_error", "mcp_servers"),
        ({"max_token": 5}, 400, "invalid_request_error", "max_token"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_refused(body: dict[str, Any], status: int, kind: str, param: str) -> None:
    doors = Doors()
    with request_scope("an-id") as info:
        info.error_shape = "enveloped"
        answer = raw(doors, **body)
    found = content(answer)
    assert (answer.status_code, found["error"]["type"], found["error"]["param"]) == (status, kind, param), found
    assert (found["type"], found["request_id"]) == ("error", "an-id")
    assert doors.calls("gemma") == []


@pytest.mark.parametrize("source", [{"type": "base64", "data": "https://a.example/b"}, {"type": "url", "url": "aGk="}])
def test_a_source_is_what_its_type_says(source: dict[str, Any]) -> None:
    """An address is not fetched where it was not said to be one."""
    answer = raw(Doors(), messages=[user({"type": "image", "source": source})])
    assert content(answer)["error"]["code"] == "invalid_value"
    assert "address" in content(answer)["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.Overloaded("Busy.", retry_after=1), 429, "rate_limit_error"),
        (errors.RunnerFailed("It broke."), 502, "api_error"),
        (errors.DeadlineExceeded("Late."), 504, "timeout_error"),
        (errors.ModelNotReady("Soon.", retry_after=1), 503, "overloaded_error"),
    ],
    ids=str,
)
def test_failures_have_their_types(error: errors.LookseeError, status: int, kind: str) -> None:
    with request_scope("an-id") as info:
        info.error_shape = "enveloped"
        answer = raw(Doors(lambda job: error))
    assert (answer.status_code, content(answer)["error"]["type"]) == (status, kind)


def test_a_query_parameter_of_new_features_is_passed_over() -> None:
    body = {"model": "gemma", "max_tokens": 5, "messages": [user("What?")]}
    assert Doors().send("/v1/messages", params={"beta": "true"}, json=body).status_code == 200
    assert Doors().send("/v1/messages", params={"bet": "true"}, json=body).status_code == 400


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/messages/batches"])
def test_what_is_not_offered(path: str) -> None:
    assert ROUTES.unknown(path).status == 501
    assert ROUTES.error_shape(path) == "enveloped"
