"""The tokens of an answer with their probabilities, in OpenAI's Responses and in Ollama's API; and calls of functions
in the input of a response.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from looksee.core.tasks import Answer, Job, Turn
from tests.http.apis.test_scores import token
from tests.http.app import Doors, content, error
from tests.http.dialects.responses.test_responses import told as events_of

WHERE = "message.output_text.logprobs"


def answered(job: Job) -> Answer:
    count = job.sampling.logprobs
    if count is None:
        return Answer("a dog", "stop", 1, 3)
    others = {"cat": 0.25} if count else {}
    return Answer("a dog", "stop", 1, 3, tokens=(token("a", 0.5), token(" dog", 0.125, **others)))


def respond(here: Doors, **body: Any) -> Any:
    return here.send("/v1/responses", json={"model": "gemma", "input": "Who?", **body})


def names(told: list[dict[str, Any]]) -> list[str]:
    return [one["token"] for one in told]


@pytest.mark.parametrize(("body", "most"), [({"include": [WHERE]}, 0), ({"include": [WHERE], "top_logprobs": 5}, 5)])
def test_responses_tell_the_tokens_of_their_text(body: dict[str, Any], most: int) -> None:
    here = Doors(answered)
    found = content(respond(here, **body))
    (part,) = found["output"][0]["content"]
    assert names(part["logprobs"]) == ["a", " dog"]
    assert names(part["logprobs"][1]["top_logprobs"]) == ([" dog", "cat"] if most else [])
    assert found["top_logprobs"] == most
    assert here.calls("gemma")[0][0].sampling.logprobs == most
    events = events_of(respond(here, stream=True, **body))
    (done,) = (one for one in events if one["type"] == "response.output_text.done")
    assert names(done["logprobs"]) == ["a", " dog"]
    assert events[-1]["response"]["output"][0]["content"] == found["output"][0]["content"]


def test_without_asking_responses_tell_none() -> None:
    here = Doors(answered)
    found = content(respond(here, include=["reasoning.encrypted_content"], top_logprobs=0))
    assert found["output"][0]["content"][0]["logprobs"] == []
    assert here.calls("gemma")[0][0].sampling.logprobs is None


@pytest.mark.parametrize("path", ["generate", "chat"])
@pytest.mark.parametrize("most", [0, 3])
def test_ollamas_answers_tell_their_tokens(path: str, most: int) -> None:
    said = {"prompt": "Who?"} if path == "generate" else {"messages": [{"role": "user", "content": "Who?"}]}
    body = {"model": "gemma", **said, "logprobs": True, "top_logprobs": most}
    here = Doors(answered)
    whole = content(here.send(f"/api/{path}", json={**body, "stream": False}))
    assert names(whole["logprobs"]) == ["a", " dog"]
    assert len(whole["logprobs"][1]["top_logprobs"]) == (2 if most else 0)
    lines = [json.loads(line) for line in here.send(f"/api/{path}", json=body).text.splitlines()]
    assert names(lines[-1]["logprobs"]) == ["a", " dog"]
    assert not any("logprobs" in line for line in lines[:-1])
    plain = content(here.send(f"/api/{path}", json={**body, "stream": False, "logprobs": False, "top_logprobs": 0}))
    assert "logprobs" not in plain


@pytest.mark.parametrize("stream", [False, True])
def test_ollama_is_told_how_many_new_tokens_there_may_be(stream: bool) -> None:
    body = {"model": "gemma", "prompt": "Who?", "stream": stream, "options": {"num_predict": 100_000}}
    answer = Doors(answered).send("/api/generate", json=body)
    assert answer.headers["X-Looksee-Max-Tokens"] == str(Doors().settings.max_new_tokens)


# -- calls in the input of a response

CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at":"sky"}', "id": "fc_1"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "blue"}
ASKED = {"role": "user", "content": "Look."}


@pytest.mark.parametrize("output", ["blue", [{"type": "input_text", "text": "blue"}]])
def test_calls_and_what_came_of_them_are_turns_of_words(output: Any) -> None:
    here = Doors(answered)
    content(respond(here, input=[ASKED, CALL, {**RESULT, "output": output}]))
    turns = here.calls("gemma")[0][0].turns
    assert turns == (
        Turn("user", ("Look.",)),
        Turn("assistant", ('look({"at":"sky"})',)),
        Turn("user", ("look: blue",)),
    )


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({**CALL, "name": None}, "input.1.name"),
        ({**CALL, "arguments": None}, "input.1.arguments"),
        ({**CALL, "content": "x"}, "input.1.content"),
        ({**CALL, "odd": 1}, "input.1.odd"),
        ({**RESULT, "output": None}, "input.1.output"),
        ({**RESULT, "arguments": "x"}, "input.1.arguments"),
        ({**RESULT, "output": [{"type": "input_image", "image_url": "data:"}]}, "input.1.output.0"),
        ({**ASKED, "output": "x"}, "input.1.output"),
        ({"type": "custom_tool_call"}, "input.1.type"),
    ],
)
def test_what_is_wrong_with_them_is_named(item: dict[str, Any], param: str) -> None:
    here = Doors(answered)
    refused = respond(here, input=[ASKED, item, ASKED])
    assert (error(refused)[0], error(refused)[2]) == (400, param)
    assert here.calls("gemma") == []
