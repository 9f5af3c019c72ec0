"""The OpenAI API's chat: what is asked of each model, what is refused, and what comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from looksee.core import errors
from looksee.core.tasks import GREEDY, Answer, Call, Event, Failure, Job, Reasoning, Reply, Sampling, Task, Turn
from looksee.gateway.answering import ServedAnswer
from looksee.http.dialects.openai import ChatBody, _chunks
from looksee.models.registry import prompts
from tests.gateway.proxy import IDENTITY
from tests.http.app import Doors, content, error
from tests.support.files import plain
from tests.support.loops import run

RED, BLUE = plain(), plain(colour=(0, 0, 200))
CHATS = ("gemma", "intern_vlm")
QUESTION = "Is there a circle?"


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def image(data: bytes = RED) -> dict[str, Any]:
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": uri}}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": parts[0] if isinstance(parts[0], str) else list(parts)}


def says(role: str, words: str) -> dict[str, Any]:
    return {"role": role, "content": words}


def chat(doors: Doors, model: str, *messages: dict[str, Any], **options: Any) -> httpx.Response:
    body = {"model": model, "messages": list(messages), **options}
    return doors.send("/v1/chat/completions", json=body)


def asked(model: str, *messages: dict[str, Any], **options: Any) -> Job:
    """The job that a request becomes."""
    doors = Doors()
    answer = chat(doors, model, *messages, **options)
    assert answer.status_code == 200, content(answer)
    ((job,),) = doors.calls(model)
    return job


def said(answer: httpx.Response) -> Any:
    return content(answer)["choices"][0]["message"]["content"]


def events(answer: httpx.Response) -> list[Any]:
    """What a stream tells; the end as it is."""
    assert answer.status_code == 200, content(answer)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    return [json.loads(line) if line.startswith("{") else line for line in lines]


# -- what is asked


@pytest.mark.parametrize("model", CHATS)
@pytest.mark.parametrize(
    "message",
    [user(image(), text(QUESTION)), user(text(QUESTION), image()), user(text(" "), image(), text(QUESTION))],
    ids=["picture first", "text first", "blank"],
)
def test_a_question_about_a_picture_is_as_any_other(model: str, message: dict[str, Any]) -> None:
    job = asked(model, message)
    assert (job.task, job.images, job.prompt, job.turns) == (Task.QUERY, (RED,), QUESTION, ())
    assert (job.max_new_tokens, job.sampling, job.stop) == (1024, GREEDY, ())


@pytest.mark.parametrize("model", CHATS)
def test_several_pictures_texts_and_none(model: str) -> None:
    assert asked(model, user("Who are you?")) == Job(Task.QUERY, (), "Who are you?", 1024)
    several = asked(model, user(text("Both?"), image(), image(BLUE)))
    assert (several.images, several.prompt) == ((RED, BLUE), "Both?")
    lines = asked(model, user(image(), text("One."), text("Two.")))
    assert lines.prompt == "One.\nTwo."


@pytest.mark.parametrize("model", CHATS)
def test_pictures_alone_are_captioned(model: str) -> None:
    assert asked(model, user(image())).prompt == prompts.CAPTION
    assert asked(model, user(image(), image(BLUE))).prompt == prompts.COLLECTIVE
    assert asked(model, says("system", "In French."), user(image())).turns[-1].parts == (None, prompts.CAPTION)


@pytest.mark.parametrize("model", CHATS)
def test_turns_keep_their_order_and_their_pictures(model: str) -> None:
    job = asked(
        model,
        says("developer", "Be brief."),
        says("system", "Be kind."),
        user(text("What is it?"), image()),
        {"role": "assistant", "content": "a circle", "refusal": None, "tool_calls": None, "annotations": []},
        user(image(BLUE)),
        user(text("And this?")),
    )
    assert (job.task, job.images, job.prompt) == (Task.QUERY, (RED, BLUE), "")
    assert job.turns == (
        Turn("system", ("Be brief.\nBe kind.",)),
        Turn("user", (None, "What is it?")),
        Turn("assistant", ("a circle",)),
        Turn("user", (None, "And this?")),
    )


def test_pictures_between_texts_stay_there() -> None:
    parts = (text("First:"), image(), text("second:"), image(BLUE))
    (turn,) = asked("gemma", user(*parts)).turns
    assert turn == Turn("user", ("First:", None, "second:", None))


@pytest.mark.parametrize(
    ("model", "message", "expected"),
    [
        ("blip", user(image()), Job(Task.CAPTION, (RED,), "", 100)),
        ("blip", user(text("a photo of"), image()), Job(Task.CAPTION, (RED,), "a photo of", 100)),
        ("blip2", user(image()), Job(Task.CAPTION, (RED,), "", 100)),
        ("blip2", user(text("Who?"), image()), Job(Task.QUERY, (RED,), "Question: Who? Answer:", 200)),
        ("moondream", user(image()), Job(Task.CAPTION, (RED,), "", 200)),
        ("moondream", user(text("Who?"), image()), Job(Task.QUERY, (RED,), "Who?", 200)),
        ("moondream", user("Who?"), Job(Task.QUERY, (), "Who?", 200)),
    ],
)
def test_models_of_one_turn(model: str, message: dict[str, Any], expected: Job) -> None:
    assert asked(model, message) == expected


@pytest.mark.parametrize("model", ["blip", "blip2", "moondream"])
@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([says("system", "Be brief."), user(image())], "messages.0.role"),
        ([user(image()), says("assistant", "a circle"), user("Sure?")], "messages.0.role"),
        ([user(text("Both?"), image(), image(BLUE))], "messages.0.content.2.image_url"),
    ],
    ids=["system", "history", "pictures"],
)
def test_what_they_cannot_take_is_refused(model: str, messages: list[dict[str, Any]], param: str) -> None:
    answer = chat(Doors(), model, *messages)
    assert error(answer) == (400, "task_not_supported", param)
    assert "gemma, intern_vlm" in content(answer)["detail"]


@pytest.mark.parametrize("model", ["blip", "blip2"])
def test_some_models_need_a_picture(model: str) -> None:
    assert error(chat(Doors(), model, user("Who?"))) == (400, "task_not_supported", "messages")


@pytest.mark.parametrize("name", ["moondream3-preview", "moondream2", "moondream"])
def test_names_by_which_others_know_a_model(name: str) -> None:
    doors = Doors()
    assert content(chat(doors, name, user("Who?")))["model"] == "moondream"  # who answers is told
    *told, _ = events(chat(doors, name, user("Who?"), stream=True))
    assert {event["model"] for event in told} == {"moondream"}
    assert len(doors.calls("moondream")) == 1


def test_how_it_is_written() -> None:
    options = {"temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["a", "b"], "max_completion_tokens": 5}
    job = asked("gemma", user("Who?"), **options)
    assert (job.sampling, job.stop, job.max_new_tokens) == (Sampling(0.5, 0.9, seed=7), ("a", "b"), 5)
    job = asked("gemma", user("Who?"), temperature=0, top_p=0.1, seed=7, stop="end", max_tokens=6)
    assert (job.sampling, job.stop, job.max_new_tokens) == (GREEDY, ("end",), 6)
    assert asked("gemma", user("Who?"), temperature=1).sampling == Sampling(1.0)
    assert asked("gemma", user("Who?"), stop=None, max_tokens=None, temperature=None).stop == ()


def test_both_names_of_a_number_of_tokens_may_say_the_same() -> None:
    assert asked("gemma", user("Who?"), max_tokens=7, max_completion_tokens=7).max_new_tokens == 7
    assert asked("gemma", user("Who?"), max_tokens=7, max_completion_tokens=None).max_new_tokens == 7
    refused = chat(Doors(), "gemma", user("Who?"), max_tokens=7, max_completion_tokens=8)
    assert content(refused)["detail"] == "'max_tokens' and 'max_completion_tokens' differ; send one of them."


@pytest.mark.parametrize("model", ["blip2", "gemma", "intern_vlm", "moondream"])
@pytest.mark.parametrize(
    "before",
    [
        [says("system", "")],
        [{"role": "developer", "content": None}],
        [says("system", " "), says("user", ""), {"role": "assistant", "content": [], "tool_calls": []}],
        [{"role": "assistant"}],
    ],
    ids=["system", "developer", "several", "assistant"],
)
def test_messages_that_say_nothing_reach_no_model(model: str, before: list[dict[str, Any]]) -> None:
    """Not even one that takes a single message: who uses a front end cannot see them, nor remove them."""
    question = user(text(QUESTION), image())
    assert asked(model, *before, question) == asked(model, question)


def test_names_and_short_forms_of_frameworks_change_nothing() -> None:
    short = {"type": "image_url", "image_url": image()["image_url"]["url"]}
    named = {**user(text(QUESTION), short), "name": "user_proxy"}
    assert asked("gemma", named) == asked("gemma", user(text(QUESTION), image()))


def test_thoughts_of_moondream() -> None:
    doors = Doors(lambda job: Answer("yes", "stop", 1, 9, reasoning=Reasoning("so", ())))
    answer = content(chat(doors, "moondream", user(image(), text(QUESTION)), reasoning=True))
    assert answer["choices"][0]["message"]["reasoning"] == {"text": "so", "grounding": []}
    assert doors.calls("moondream")[0][0].reasoning is True
    assert events(chat(doors, "moondream", user(image(), text(QUESTION)), reasoning=True, stream=True))[-2]["choices"][
        0
    ]["delta"] == {"reasoning": {"text": "so", "grounding": []}}
    for model, message in (("gemma", user(QUESTION)), ("moondream", user(image()))):
        assert error(chat(doors, model, message, reasoning=True)) == (400, "task_not_supported", "reasoning")


# -- what is refused

HARMLESS: dict[str, Any] = {
    "user": "me",
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "auto",
    "safety_identifier": "x",
    "prompt_cache_key": "x",
    "parallel_tool_calls": True,
    "n": 1,
    "tools": [],
    "tool_choice": "none",
    "presence_penalty": 0,
    "frequency_penalty": 0.0,
    "logprobs": False,
    "logit_bias": {},
    "modalities": ["text"],
    "audio": None,
    "response_format": {"type": "text"},
    "top_k": -1,
    "min_p": 0,
    "repetition_penalty": 1.0,
    "chat_template_kwargs": {},
}


def test_what_changes_nothing_may_be_sent() -> None:
    assert asked("gemma", user("Who?"), **HARMLESS) == asked("gemma", user("Who?"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"top_k": 5, "temperature": 0.5, "seed": 1}, Sampling(0.5, seed=1, top_k=5)),
        ({"top_k": -1, "min_p": 0.1, "temperature": 1}, Sampling(1.0, min_p=0.1)),
        ({"top_k": 5, "min_p": 0.5, "seed": 3}, GREEDY),  # greedy all the same
        ({"repetition_penalty": 1.1}, Sampling(repetition_penalty=1.1)),
        ({"presence_penalty": 0.5, "frequency_penalty": -1}, Sampling(presence_penalty=0.5, frequency_penalty=-1)),
        ({"logit_bias": {"70": 5, "5": -100, "6": 0}}, Sampling(logit_bias=((5, -100.0), (70, 5.0)))),
        ({"repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": None, "logit_bias": {}}, GREEDY),
    ],
    ids=str,
)
def test_how_tokens_are_chosen(options: dict[str, Any], expected: Sampling) -> None:
    assert asked("gemma", user("Who?"), **options).sampling == expected


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"logit_bias": {str(number): 1 for number in range(301)}}, "logit_bias"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"repetition_penalty": 5e-324}, "repetition_penalty"),  # logits divided by it would be infinite
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 1.1}, "min_p"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
    ],
    ids=str,
)
def test_numbers_that_are_none_of_these_are_refused(options: dict[str, Any], param: str) -> None:
    doors = Doors()
    assert error(chat(doors, "gemma", user("Who?"), **options)) == (400, "invalid_value", param)
    assert doors.calls("gemma") == []


@pytest.mark.parametrize(
    ("options", "seeds"),
    [({"seed": 5}, [5, 6, 7]), ({"seed": 2**63 - 2}, [2**63 - 2, 2**63 - 1, -(2**63)]), ({}, [None] * 3)],
    ids=str,
)
def test_several_answers_are_drawn_each_by_itself(options: dict[str, Any], seeds: list[int | None]) -> None:
    doors = Doors()
    answer = chat(doors, "gemma", user("Who?"), n=3, temperature=0.8, **options).json()
    assert [job.sampling.seed for jobs in doors.calls("gemma") for job in jobs] == seeds
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    usage = answer["usage"]
    one = chat(Doors(), "gemma", user("Who?")).json()["usage"]
    assert usage["prompt_tokens"] == one["prompt_tokens"]
    assert usage["completion_tokens"] == 3 * one["completion_tokens"]


def test_several_greedy_answers_are_one() -> None:
    doors = Doors()
    answer = chat(doors, "gemma", user("Who?"), n=8).json()
    assert len(doors.calls("gemma")) == 1
    assert len({choice["message"]["content"] for choice in answer["choices"]}) == 1
    assert len(answer["choices"]) == 8


def test_several_answers_are_not_streamed() -> None:
    doors = Doors()
    assert error(chat(doors, "gemma", user("Who?"), n=2, stream=True)) == (400, "unsupported_parameter", "n")
    assert chat(doors, "gemma", user("Who?"), n=1, stream=True).status_code == 200


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"functions": [{"name": "f"}]},
        {"function_call": {"name": "f"}},
        {"audio": {"voice": "alloy"}},
        {"modalities": ["text", "audio"]},
        {"reasoning_effort": "high"},
        {"verbosity": "low"},
        {"web_search_options": {}},
        {"chat_template_kwargs": {"enable_thinking": True}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_would_change_the_answer_is_refused(options: dict[str, Any]) -> None:
    doors = Doors()
    assert error(chat(doors, "gemma", user("Who?"), **options)) == (400, "unsupported_parameter", next(iter(options)))
    assert doors.calls("gemma") == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": "gpt-4o"}, (404, "model_not_found", "model")),
        ({"max_tokens": 0}, (400, "invalid_value", "max_tokens")),
        ({"max_completion_tokens": -2}, (400, "invalid_value", "max_completion_tokens")),
        ({"max_tokens": 5, "max_completion_tokens": 6}, (400, "invalid_value", "max_tokens")),
        ({"temperature": 2.1}, (400, "invalid_value", "temperature")),
        ({"temperature": -1}, (400, "invalid_value", "temperature")),
        ({"top_p": 1.1}, (400, "invalid_value", "top_p")),
        ({"seed": 2**63}, (400, "invalid_value", "seed")),
        ({"stop": ["a"] * 5}, (400, "invalid_value", "stop")),
        ({"stop": [""]}, (400, "invalid_value", "stop.0")),
        ({"stop": "a" * 257}, (400, "invalid_value", "stop.0")),
        ({"stream_options": {"include_usage": True}}, (400, "invalid_request", "stream_options")),
        ({"messages": []}, (400, "invalid_value", "messages")),
        ({"messages": "Who?"}, (400, "invalid_value", "messages")),
        ({"messages": [says("function", "5")]}, (400, "unsupported_parameter", "messages.0.role")),
        ({"messages": [says("assistant", "a")]}, (400, "invalid_request", "messages")),
        ({"messages": [says("system", "a")]}, (400, "invalid_request", "messages")),
        ({"messages": [user(" ")]}, (400, "invalid_value", "messages.0.content")),
        ({"messages": [{"role": "user"}]}, (400, "invalid_value", "messages.0.content")),
        ({"messages": [{**user("a"), "name": 5}]}, (400, "invalid_value", "messages.0.name")),
        ({"messages": [{**user("a"), "weight": 1}]}, (400, "unsupported_parameter", "messages.0.weight")),
        ({"messages": [user("a" * 200_001)]}, (400, "context_length_exceeded", "messages")),
        (
            {"messages": [user("a" * 100_001), says("assistant", "b" * 100_000), user("c")]},
            (400, "context_length_exceeded", "messages"),
        ),
        ({"messages": [user({"type": "text"})]}, (400, "invalid_value", "messages.0.content.0.text")),
        ({"messages": [user({"type": "image_url"})]}, (400, "invalid_value", "messages.0.content.0.image_url")),
        ({"messages": [user({"text": "a"})]}, (400, "invalid_value", "messages.0.content.0.type")),
        (
            {"messages": [user({"type": "input_audio", "input_audio": {}})]},
            (400, "unsupported_parameter", "messages.0.content.0.type"),
        ),
        (
            {"messages": [{"role": "assistant", "content": "a", "tool_calls": [{}]}, user("b")]},
            (400, "invalid_value", "messages.0.tool_calls.0.function"),
        ),
        (
            {"messages": [{"role": "system", "content": [text("a"), image()]}, user("b")]},
            (400, "unsupported_parameter", "messages.0.content.1"),
        ),
        ({"messages": [user(*[image()] * 33)]}, (400, "too_many_files", "messages")),
        ({"response_format": {"type": "xml"}}, (400, "unsupported_parameter", "response_format.type")),
    ],
)
def test_what_is_no_request_is_refused(options: dict[str, Any], expected: tuple[int, str, str | None]) -> None:
    doors = Doors()
    answer = doors.send("/v1/chat/completions", json={"model": "gemma", "messages": [user("Who?")], **options})
    assert error(answer) == expected
    assert doors.calls("gemma") == []


@pytest.mark.parametrize("body", ["", "[]", '{"model": "gemma"', '{"model": "gemma", "messages": "\\ud800"}'])
def test_what_is_no_json_is_refused(body: str) -> None:
    answer = Doors().send("/v1/chat/completions", content=body)
    assert error(answer)[:2] == (400, "invalid_request")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a.png", (400, "image_url_not_allowed")),
        ("HTTP://169.254.169.254/", (400, "image_url_not_allowed")),
        ("data:image/png;base64,!", (400, "invalid_request")),
        ("file:///etc/passwd", (400, "image_url_not_allowed")),
        ("data:image/png;base64,aGVsbG8=", (400, "unsupported_image_type")),
    ],
)
def test_pictures_that_are_none_are_named(url: str, expected: tuple[int, str]) -> None:
    bad = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    answer = chat(Doors(), "gemma", user(text("Both?"), image(), bad))
    assert error(answer) == (*expected, "messages.0.content.2.image_url")


@pytest.mark.parametrize(("param", "place"), [("images.1", "messages.2.content.1"), (None, "messages.0.content.0")])
@pytest.mark.parametrize("stream", [True, False])
def test_a_damaged_picture_is_named_as_the_caller_knows_it(param: str | None, place: str, stream: bool) -> None:
    doors = Doors(lambda _: errors.CorruptImage("damaged", param=param))
    messages = (user(image(), text("a")), says("assistant", "b"), user(text("c"), image(BLUE)))
    answer = chat(doors, "gemma", *messages, stream=stream)
    assert error(answer) == (400, "corrupt_image", f"{place}.image_url")


@pytest.mark.parametrize("stream", [True, False])
def test_errors_of_a_model_come_with_their_status(stream: bool) -> None:
    for raised, expected in (
        (errors.Overloaded("full", retry_after=3), (429, "overloaded", None)),
        (errors.ModelNotReady("loading", retry_after=5), (503, "model_not_ready", None)),
        (errors.PromptTooLong("long", param="prompt"), (400, "context_length_exceeded", "messages")),
    ):
        answer = chat(Doors(lambda _, raised=raised: raised), "gemma", user("Who?"), stream=stream)  # type: ignore[misc]
        assert error(answer) == expected
        assert answer.headers.get("retry-after") == (str(raised.retry_after) if raised.retry_after else None)


# -- what comes back


def test_a_whole_answer() -> None:
    doors = Doors(lambda _: Answer("a circle", "length", 12, 3))
    answer = chat(doors, "gemma", user(image(), text("What?")))
    body = content(answer)
    assert body.pop("id").startswith("chatcmpl-")
    assert body.pop("created") > 1.7e9
    assert body == {
        "object": "chat.completion",
        "model": "gemma",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a circle", "refusal": None},
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        "system_fingerprint": "fp_0123456789ab",
        "cache": False,
        "revision": "0123456789ab",
        "weights": "local",
    }
    assert "compute;dur=300.0" in answer.headers["server-timing"]
    again = content(chat(doors, "gemma", user(image(), text("What?"))))
    assert (again["cache"], again["usage"]) == (True, {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15})


def test_it_shares_answers_with_the_other_dialects() -> None:
    doors = Doors()
    uri = image()["image_url"]["url"]
    doors.query(image=uri, question=QUESTION, model="moondream")
    assert content(chat(doors, "moondream", user(text(QUESTION), image())))["cache"] is True
    doors.caption(image=uri, model="blip")
    assert content(chat(doors, "blip", user(image())))["cache"] is True


def pieces(*texts: str, failure: errors.LookseeError | None = None) -> Any:
    async def after(call: Call) -> AsyncIterator[Event]:
        for one in texts:
            yield Event(0, one)
        if failure is not None:
            yield Event(0, reply=Reply(failure=Failure.of(failure)))
        else:
            yield Event(0, reply=Reply(Answer("".join(texts), "stop", 12, 3)), identity=IDENTITY)

    return after


@pytest.mark.parametrize("usage", [None, False, True])
def test_a_streamed_answer(usage: bool | None) -> None:
    doors = Doors()
    doors.proxies["gemma"].after = pieces("a ", "circle")
    options = {} if usage is None else {"stream_options": {"include_usage": usage}}
    *told, end = events(chat(doors, "gemma", user("What?"), stream=True, **options))
    assert end == "[DONE]"
    assert {(one["object"], one["model"]) for one in told} == {("chat.completion.chunk", "gemma")}
    assert len({(one["id"], one["created"]) for one in told}) == 1
    if usage:
        last = told.pop()
        assert (last["choices"], last["usage"]["total_tokens"]) == ([], 15)
    assert [one.get("usage", "none") for one in told] == [None if usage else "none"] * 4
    assert [(one["choices"][0]["delta"], one["choices"][0]["finish_reason"]) for one in told] == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "a "}, None),
        ({"content": "circle"}, None),
        ({}, "stop"),
    ]
    assert told[-1]["system_fingerprint"] == "fp_0123456789ab"


def test_a_failure_in_mid_stream_is_told() -> None:
    doors = Doors()
    doors.proxies["gemma"].after = pieces("a ", failure=errors.RunnerFailed("it fell over"))
    *_, piece, failure, broken = events(chat(doors, "gemma", user("What?"), stream=True))
    assert piece["choices"][0]["delta"] == {"content": "a "}
    assert failure["error"]["code"] == "runner_failed"
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(broken)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{}, {}, {}]},
        {"messages": [{"role": "user", "content": [{}, {}, {}]}]},
        {"messages": [user("Who?")], "stop": ["", "", ""]},
    ],
)
def test_the_first_bad_one_of_a_list_ends_its_reading(body: dict[str, Any]) -> None:
    """There may be millions, and to describe each would hold up everybody for minutes."""
    with pytest.raises(ValidationError) as caught:
        ChatBody.model_validate_json(json.dumps({"model": "gemma", **body}), strict=True)
    assert caught.value.error_count() == 1


@pytest.mark.parametrize(("messages", "parts"), [(1025, 1), (1, 257)])
def test_messages_and_their_parts_are_bounded(messages: int, parts: int) -> None:
    answer = chat(Doors(), "gemma", *[user(*[text("a")] * parts)] * messages)
    assert error(answer)[:2] == (400, "invalid_value")


def test_who_leaves_a_stream_leaves_the_model() -> None:
    left = []

    async def said() -> AsyncGenerator[str | ServedAnswer, None]:
        try:
            yield "a "
            yield "circle"
        finally:
            left.append(True)

    async def main() -> None:
        events = _chunks({}, said(), ChatBody.model_validate({"messages": [user("Who?")]}), None)
        async for event in events:
            if b"a " in event:
                break
        await events.aclose()
        assert left == [True]

    run(main())
