"""OpenAI's Responses API, by its own package: what is asked of each model, what is refused, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from looksee.core import errors
from looksee.core.tasks import GREEDY, Answer, Reasoning, Sampling, Task, Turn
from looksee.gateway.answering import ServedAnswer
from looksee.http.apis.own_names import OwnNames
from looksee.http.dialects.responses.events import events as written
from looksee.http.dialects.responses.replies import ResponseReply
from looksee.http.dialects.responses.requests import ResponsesBody
from looksee.models.registry import REGISTRY
from tests.gateway.proxy import IDENTITY
from tests.http.app import Doors, content
from tests.http.dialects.responses.asking import (
    BLUE,
    FORCED,
    FUNCTION,
    RED,
    asked_of,
    client,
    create,
    picture,
    raw,
    text,
    user,
)
from tests.support.loops import run

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


class Colour(BaseModel):
    colour: str


def told(answer: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream, each of which the package's types accept, numbered from 0."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for number, block in enumerate(filter(None, answer.text.split("\n\n"))):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        if event["type"] != "response.failed":  # whose list of codes has what the API itself has
            EVENT.validate_python(event)
        found.append(event)
    return found


# -- what is asked


@pytest.mark.parametrize("model", [name for name in REGISTRY if name != "blip"])
def test_a_picture_and_a_question(model: str) -> None:
    doors = Doors()
    answer = create(doors, [user(text("Who?"), picture())], model)
    job = asked_of(doors, model)
    assert (job.task, job.images) == (Task.QUERY, (RED,))
    assert "Who?" in job.prompt
    assert (answer.output_text, answer.status, answer.model) == ("yes", "completed", model)
    Response.model_validate(answer.model_dump())
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens == 3
    assert answer.store is False


def test_a_text_alone_and_instructions() -> None:
    doors = Doors()
    assert create(doors, "Who are you?").output_text == "yes"
    assert asked_of(doors).prompt == "Who are you?"
    doors = Doors()
    assert create(doors, instructions="Be brief.").instructions == "Be brief."
    assert asked_of(doors).turns == (Turn("system", ("Be brief.",)), Turn("user", ("What is it?",)))


def test_an_output_is_sent_back_as_it_came() -> None:
    thoughtful = Doors(lambda job: Answer("red", "stop", 1, 2, reasoning=Reasoning("hm")))
    thought = create(thoughtful, model="moondream", reasoning={"effort": "low"})
    assert [item.type for item in thought.output] == ["reasoning", "message"]
    doors = Doors()
    create(doors, [user(text("What?"), picture()), *thought.output, user(text("And this?"), picture(BLUE))])
    job = asked_of(doors)
    assert job.images == (RED, BLUE)
    assert job.turns == (
        Turn("user", (None, "What?")),
        Turn("assistant", ("red",)),
        Turn("user", (None, "And this?")),
    )
    doors = Doors()
    sent = [item.model_dump() for item in thought.output]
    create(doors, [user(text("What?")), *sent, {"type": "message", "role": "user", "content": "Sure?"}])
    assert asked_of(doors).turns[-1] == Turn("user", ("Sure?",))


@pytest.mark.parametrize(
    ("options", "sampling"),
    [
        ({}, GREEDY),
        ({"temperature": 0, "top_p": 0.5}, GREEDY),
        ({"temperature": 0.5, "top_p": 0.9}, Sampling(0.5, 0.9)),
        ({"extra_body": {"temperature": 1, "seed": 7, "top_k": 4}}, Sampling(1.0, seed=7, top_k=4)),
    ],
    ids=str,
)
def test_how_it_is_written(options: dict[str, Any], sampling: Sampling) -> None:
    doors = Doors()
    create(doors, **options)
    assert asked_of(doors).sampling == sampling


@pytest.mark.parametrize(("wanted", "tokens", "header"), [(7, 7, None), (100_000, 1024, "1024"), (None, 1024, None)])
@pytest.mark.parametrize("stream", [False, True])
def test_new_tokens(wanted: int | None, tokens: int, header: str | None, stream: bool) -> None:
    doors = Doors()
    answer = raw(doors, max_output_tokens=wanted, stream=stream)
    assert asked_of(doors).max_new_tokens == tokens
    assert answer.headers.get("x-looksee-max-tokens") == header


def test_what_changes_nothing_may_be_sent() -> None:
    doors, usual = Doors(), Doors()
    harmless = {
        "store": True,
        "metadata": {"a": "b"},
        "user": "me",
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "truncation": "auto",
        "include": ["reasoning.encrypted_content"],
        "background": False,
        "previous_response_id": None,
        "conversation": None,
        "service_tier": "auto",
        "max_tool_calls": 3,
        "top_logprobs": 0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "reasoning": {"effort": "none", "summary": None},
        "prompt_cache_key": "x",
        "safety_identifier": "x",
    }
    answer = content(raw(doors, **harmless))
    create(usual)
    assert asked_of(doors) == asked_of(usual)
    assert (answer["metadata"], answer["user"], answer["store"]) == ({"a": "b"}, "me", False)
    assert (answer["parallel_tool_calls"], answer["truncation"]) == (False, "disabled")


# -- what comes back


def _saying(finish: Any) -> Doors:
    return Doors(lambda job: Answer("" if finish == "empty" else "red", finish, 1, 2))


def test_an_answer_that_was_cut_is_incomplete() -> None:
    for finish, status in (("length", "incomplete"), ("loop", "incomplete"), ("empty", "completed")):
        answer = create(_saying(finish))
        assert answer.status == answer.output[0].status == status
        reason = answer.incomplete_details
        assert (reason.reason if reason else None) == ("max_output_tokens" if status == "incomplete" else None)
        assert (answer.completed_at is None) == (status == "incomplete")


def test_a_stream_has_all_its_events() -> None:
    events = told(raw(Doors(lambda job: "a red circle"), stream=True))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    assert "".join(event["delta"] for event in events[4:-4]) == events[-4]["text"] == "a red circle"
    assert len({event["response"]["id"] for event in (events[0], events[1], events[-1])}) == 1
    assert len({event["item_id"] for event in events if "item_id" in event}) == 1
    assert events[-1]["response"]["output"] == [events[-2]["item"]]


def test_the_packages_helper_reads_a_stream() -> None:
    async def read(doors: Doors, **options: Any) -> Any:
        async with client(doors).responses.stream(input="What?", **options) as stream:
            return await stream.get_final_response()

    assert run(read(Doors(lambda job: "a red circle"), model="gemma")).output_text == "a red circle"
    doors = Doors(lambda job: Answer("two", "stop", 1, 2, reasoning=Reasoning("I count.")))
    found = run(read(doors, model="moondream", reasoning={"effort": "high", "summary": "auto"}))
    thought, message = found.output
    assert (thought.content[0].text, thought.summary[0].text) == ("I count.", "I count.")
    assert message.content[0].text == "two"


def test_thoughts_come_before_the_answer() -> None:
    doors = Doors(lambda job: Answer("two", "length", 1, 2, reasoning=Reasoning("I count.")))
    events = told(raw(doors, model="moondream", reasoning={"effort": "low", "summary": "auto"}, stream=True))
    assert [event["item"]["type"] for event in events if event["type"].endswith("item.added")] == [
        "reasoning",
        "message",
    ]
    assert [event["output_index"] for event in events if "output_index" in event] == [0] * 10 + [1] * 6
    assert events[-1]["type"] == "response.incomplete"
    doors = Doors(lambda job: Answer("two", "stop", 1, 2, reasoning=Reasoning("I count.")))
    assert create(doors, model="moondream", reasoning={"effort": "low"}).output[0].summary == []


def test_json_is_parsed_by_the_package() -> None:
    doors = Doors(lambda job: '{"colour": "red"}')
    found = run(client(doors).responses.parse(model="gemma", input="What?", text_format=Colour))
    assert found.output_parsed == Colour(colour="red")
    shown: Any = found.text
    assert shown.format.name == "Colour"
    assert create(doors, text={"format": {"type": "json_object"}}).output_text == '{"colour": "red"}'


@pytest.mark.parametrize("choice", [FORCED["tool_choice"], "required"])
def test_a_function_that_has_to_be_called(choice: Any) -> None:
    doors = Doors(lambda job: '{"colour": "red"}')
    (call,) = create(doors, **{**FORCED, "tool_choice": choice}).output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "note", {"colour": "red"})
    assert call.id.startswith("fc_")
    assert call.call_id.startswith("call_")


def test_a_call_in_pieces() -> None:
    async def read() -> Any:
        asked: Any = {"model": "gemma", "input": "What?", **FORCED}
        async with client(Doors(lambda job: '{"colour": "red"}')).responses.stream(**asked) as stream:
            return await stream.get_final_response()

    (call,) = run(read()).output
    assert call.parsed_arguments == {"colour": "red"}
    events = told(raw(Doors(lambda job: '{"colour": "red"}'), **FORCED, stream=True))
    assert [event["type"].rpartition("response.")[2] for event in events] == [
        *("created", "in_progress", "output_item.added", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done", "completed"),
    ]


def test_tools_that_are_not_to_be_called_are_repeated() -> None:
    answer = create(Doors(), tools=[FUNCTION], tool_choice="none")
    assert (answer.output_text, answer.tools[0].name, answer.tool_choice) == ("yes", "note", "none")


def test_a_failure_in_mid_stream_is_told_twice() -> None:
    """As an event with the response, and as an error that the packages raise."""

    async def read() -> bytes:
        async def pieces() -> Any:
            yield "a red"
            raise errors.RunnerFailed("'messages' broke.")

        body = ResponsesBody.model_validate({"model": "gemma", "input": "What?"})
        reply = ResponseReply(body, "gemma", body.options(), GREEDY)
        names = OwnNames({"messages": "input"})
        return b"".join([line async for line in written(reply, pieces(), names)])

    events = told(httpx.Response(200, content=run(read()), headers={"content-type": "text/event-stream"}))
    failed, error = events[-2:]
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "server_error", "message": "'input' broke."}
    assert (error["type"], error["code"], error["message"]) == ("error", "runner_failed", "'input' broke.")
    assert error["error"]["code"] == "runner_failed"


def test_the_source_of_an_answer_is_told() -> None:
    body = ResponsesBody.model_validate({"model": "gemma", "input": "What?"})
    reply = ResponseReply(body, "gemma", body.options(), GREEDY)
    shown = reply.finished(ServedAnswer(Answer("red", "stop", 1, 2), IDENTITY, cached=True))
    assert (shown["cache"], shown["revision"], shown["weights"]) == (True, IDENTITY.revision, IDENTITY.weights)
