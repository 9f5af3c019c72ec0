"""Ollama's API, by its own package: what is asked of each model, what is refused, and what comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import ollama
import pytest

from looksee.core import errors
from looksee.core.tasks import GREEDY, Answer, Job, Reasoning, Sampling, Task, Turn
from looksee.http.dialects.ollama import names
from looksee.models.registry import REGISTRY, prompts
from looksee.version import VERSION
from tests.http.app import Doors, content
from tests.support.files import plain
from tests.support.loops import run

RED, BLUE = plain(), plain(colour=(0, 0, 200))


def client(doors: Doors) -> ollama.AsyncClient:
    transport = httpx.ASGITransport(doors.app, raise_app_exceptions=False)
    return ollama.AsyncClient("http://looksee", transport=transport)


def generate(doors: Doors, model: str = "gemma", prompt: str = "What is it?", **options: Any) -> Any:
    return run(client(doors).generate(model, prompt, **options))


def chat(doors: Doors, model: str, *messages: Mapping[str, Any], **options: Any) -> Any:
    return run(client(doors).chat(model, messages, **options))


def asked(doors: Doors, model: str = "gemma") -> Job:
    ((job,),) = doors.calls(model)
    return job


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("model", REGISTRY)
def test_a_picture_and_a_prompt(model: str) -> None:
    doors = Doors()
    answer = generate(doors, model, images=[RED])
    assert answer.response in ("a red circle", "yes")
    assert (answer.done, answer.done_reason, answer.model) == (True, "stop", model)
    assert answer.eval_count is not None
    assert answer.eval_duration == 300_000_000
    assert answer.total_duration is not None
    job = asked(doors, model)
    assert job.images == (RED,)
    assert "What is it?" in job.prompt


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gemma:latest", "gemma"),
        ("gemma3", "gemma"),
        ("gemma3:4b", "gemma"),
        ("Gemma3:latest", "gemma"),
        ("moondream", "moondream"),
        ("moondream:1.8b", "moondream"),
        ("moondream2", "moondream"),
        (" blip ", "blip"),
        ("google/gemma-3-4b-it", "gemma"),
        ("vikhyatk/Moondream2", "moondream"),
    ],
)
def test_names(name: str, model: str) -> None:
    assert names.resolved(name) == model


@pytest.mark.parametrize("name", ["llava", "gemma3:27b", "gemma3:latest:latest", "", ":latest"])
def test_a_model_that_is_not_here(name: str) -> None:
    with pytest.raises(errors.ModelNotFound, match="moondream:latest"):
        names.resolved(name)


def test_pieces() -> None:
    async def read() -> list[Any]:
        doors = Doors(lambda job: "a red circle")
        stream = await client(doors).generate("gemma", "What?", images=[RED], stream=True)
        return [part async for part in stream]

    parts = run(read())
    assert "".join(part.response for part in parts) == "a red circle"
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].done_reason == "stop"
    assert parts[-1].prompt_eval_count is not None


def test_lines_are_what_is_sent_without_a_word_about_it() -> None:
    answer = Doors().send("/api/generate", json={"model": "gemma", "prompt": "What?"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) >= 2
    assert lines[-1]["done"] is True


def test_a_chat_with_its_history() -> None:
    doors = Doors(lambda job: "blue")
    answer = chat(
        doors,
        "gemma",
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?", "images": [RED]},
        {"role": "assistant", "content": "red", "thinking": "hm"},
        {"role": "user", "content": "And this?", "images": [BLUE]},
    )
    assert answer.message.content == "blue"
    assert answer.message.role == "assistant"
    job = asked(doors)
    assert job.images == (RED, BLUE)
    assert job.turns == (
        Turn("system", ("Be brief.",)),
        Turn("user", (None, "What is it?")),
        Turn("assistant", ("red",)),
        Turn("user", (None, "And this?")),
    )


def test_a_chat_in_pieces() -> None:
    async def read() -> list[Any]:
        doors = Doors(lambda job: "a red circle")
        stream = await client(doors).chat("gemma", [{"role": "user", "content": "What?"}], stream=True)
        return [part async for part in stream]

    parts = run(read())
    assert "".join(part.message.content for part in parts) == "a red circle"
    assert parts[-1].done


def test_a_system_prompt_beside_a_prompt() -> None:
    doors = Doors()
    generate(doors, system="Be brief.")
    assert asked(doors).turns[0] == Turn("system", ("Be brief.",))


@pytest.mark.parametrize(
    ("options", "sampling"),
    [
        ({}, GREEDY),
        ({"temperature": 0, "top_p": 0.5, "seed": 3}, GREEDY),
        ({"temperature": 0.8, "top_p": 0.9, "top_k": 40, "min_p": 0.1}, Sampling(0.8, 0.9, 40, min_p=0.1)),
        ({"temperature": 1, "seed": 7, "top_k": -1}, Sampling(1.0, seed=7)),
        (
            {"repeat_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": -0.5},
            Sampling(repetition_penalty=1.1, presence_penalty=0.5, frequency_penalty=-0.5),
        ),
        (
            {"num_ctx": 4096, "num_gpu": 1, "mirostat": 0, "typical_p": 1.0, "repeat_last_n": 64, "use_mmap": True},
            GREEDY,
        ),
    ],
    ids=str,
)
def test_options(options: dict[str, Any], sampling: Sampling) -> None:
    doors = Doors()
    generate(doors, options=options)
    assert asked(doors).sampling == sampling


@pytest.mark.parametrize(("asked_for", "tokens"), [(7, 7), (-1, None), (0, None), (-2, None), (10**6, "most")])
def test_new_tokens(asked_for: int, tokens: int | str | None) -> None:
    doors = Doors()
    generate(doors, options={"num_predict": asked_for})
    generate(usual := Doors())
    if tokens == "most":
        tokens = doors.settings.max_new_tokens
    assert asked(doors).max_new_tokens == (asked(usual).max_new_tokens if tokens is None else tokens)


@pytest.mark.parametrize("stop", ["\n", ["\n", "end"]])
def test_stop_strings(stop: Any) -> None:
    doors = Doors()
    assert doors.send("/api/generate", json={"model": "gemma", "prompt": "Hi", "options": {"stop": stop}}).is_success
    assert asked(doors).stop == tuple([stop] if isinstance(stop, str) else stop)


def test_json_is_forced_and_checked() -> None:
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
    doors = Doors(lambda job: '{"colour": "red"}')
    assert json.loads(generate(doors, format=schema, images=[RED]).response) == {"colour": "red"}
    assert json.loads(generate(doors, format="json", images=[RED]).response) == {"colour": "red"}
    answer = doors.send("/api/generate", json={"model": "gemma", "prompt": "Which?", "format": {}, "stream": False})
    assert json.loads(content(answer)["response"]) == {"colour": "red"}
    with pytest.raises(ollama.ResponseError):
        generate(Doors(lambda job: "red"), format=schema)


def test_moondream_thinks_first() -> None:
    doors = Doors(lambda job: Answer("two", "stop", 5, 5, reasoning=Reasoning("I count.")))
    answer = generate(doors, "moondream", "How many?", images=[RED], think=True)
    assert (answer.response, answer.thinking) == ("two", "I count.")
    assert asked(doors, "moondream").reasoning is True


def test_nothing_asked_loads_the_model() -> None:
    doors = Doors()
    for answer in (generate(doors, prompt=" "), chat(doors, "gemma")):
        assert (answer.done, answer.done_reason) == (True, "load")
    assert doors.calls("gemma") == []
    assert doors.proxies["gemma"].orders == ["load", "load"]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("generate", {"model": "llava", "prompt": "a"}, 404, "model"),
        ("generate", {"prompt": "a"}, 422, "model"),
        ("generate", {"model": "gemma", "prompt": "a", "images": ["no picture!"]}, 400, "images.0"),
        ("generate", {"model": "gemma", "prompt": "a", "images": [base64_of(b"GIF89a")]}, 400, "images.0"),
        ("generate", {"model": "gemma", "prompt": "a" * 200_001}, 422, "prompt"),
        ("generate", {"model": "gemma", "prompt": "a", "suffix": "b"}, 400, "suffix"),
        ("generate", {"model": "gemma", "prompt": "a", "template": "b"}, 400, "template"),
        ("generate", {"model": "gemma", "prompt": "a", "raw": True}, 400, "raw"),
        ("generate", {"model": "gemma", "prompt": "a", "context": [1]}, 400, "context"),
        ("generate", {"model": "gemma", "prompt": "a", "options": {"mirostat": 1}}, 400, "mirostat"),
        ("generate", {"model": "gemma", "prompt": "a", "options": {"made_up": 1}}, 400, "made_up"),
        ("generate", {"model": "gemma", "prompt": "a", "options": {"temperature": 9}}, 422, "options.temperature"),
        ("generate", {"model": "gemma", "prompt": "a", "format": "yaml"}, 422, "format"),
        ("generate", {"model": "blip", "prompt": "a", "images": [base64_of(RED)], "format": "json"}, 400, "format"),
        ("generate", {"model": "gemma", "prompt": "a", "think": True}, 400, "think"),
        ("generate", {"model": "gemma", "prompt": "", "keep_alive": 0}, 400, "keep_alive"),
        ("generate", {"model": "gemma", "promt": "a"}, 400, "promt"),
        ("generate", {"model": "gemma", "prompt": "a", "top_logprobs": 21}, 422, "top_logprobs"),
        ("generate", {"model": "gemma", "prompt": "a", "width": 64}, 400, "width"),
        ("generate", {"model": "gemma", "prompt": "a", "tools": []}, 400, "tools"),
        (
            "generate",
            {"model": "gemma", "prompt": "a", "options": {"repeat_penalty": 0}},
            422,
            "options.repeat_penalty",
        ),
        ("chat", {"model": "gemma", "messages": [{"role": "robot", "content": "a"}]}, 400, "messages.0.role"),
        ("chat", {"model": "gemma", "messages": [{"role": "user", "content": "a"}], "tools": [{}]}, 400, "tools"),
        (
            "chat",
            {"model": "gemma", "messages": [{"role": "user", "content": "a", "images": [base64_of(RED), "?"]}]},
            400,
            "messages.0.images.1",
        ),
        (
            "chat",
            {"model": "gemma", "messages": [{"role": "user", "content": "a", "image": []}]},
            400,
            "messages.0.image",
        ),
        (
            "chat",
            {"model": "gemma", "messages": [{"role": "assistant", "content": "a", "tool_calls": [{}]}]},
            400,
            "messages.0.tool_calls",
        ),
        (
            "chat",
            {"model": "gemma", "system": "Hi", "messages": [{"role": "robot", "content": "a"}]},
            400,
            "messages.0.role",
        ),
        (
            "chat",
            {"model": "gemma", "system": "Hi", "messages": [{"role": "user", "content": "a", "images": ["?"]}]},
            400,
            "messages.0.images.0",
        ),
        ("show", {"model": "llava"}, 404, "model"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_refused(path: str, body: dict[str, Any], status: int, param: str) -> None:
    doors = Doors()
    answer = doors.send(f"/api/{path}", json={"stream": False, **body} if path != "show" else body)
    found = content(answer)
    assert (answer.status_code, found["error"]["param"]) == (status, param), found
    assert doors.calls("gemma") == []


def test_what_asks_for_nothing_is_taken() -> None:
    doors = Doors()
    empty = {"suffix": "", "template": "", "raw": False, "context": [], "logprobs": False, "top_logprobs": 0}
    body = {"model": "gemma", "prompt": "a", "stream": False, "system": None, "images": None, "options": None, **empty}
    assert doors.send("/api/generate", json=body).is_success
    said: dict[str, Any] = {"role": "user", "content": "b", "images": None, "tool_calls": [], "name": "me"}
    assert doors.send(
        "/api/chat", json={"model": "gemma", "messages": [said], "tools": [], "truncate": True}
    ).is_success
    assert len(doors.calls("gemma")) == 2


def test_pictures_stand_where_the_text_has_their_marks() -> None:
    doors = Doors()
    said = {"role": "user", "content": "Before: [img] After: [img] What changed?", "images": [RED, BLUE]}
    chat(doors, "gemma", said)
    job = asked(doors)
    assert job.turns == (Turn("user", ("Before:", None, "After:", None, "What changed?")),)
    assert job.images == (RED, BLUE)


def test_pictures_without_a_mark_stand_before_the_text() -> None:
    doors = Doors()
    chat(doors, "gemma", {"role": "user", "content": "Here: [img] What is [img]?", "images": [RED]})
    assert asked(doors).turns == (Turn("user", ("Here:", None, "What is [img]?")),)
    chat(doors := Doors(), "gemma", {"role": "user", "content": "Here: [img] What?", "images": [RED, BLUE]})
    assert asked(doors).turns == (Turn("user", (None, "Here:", None, "What?")),)
    assert asked(doors).images == (BLUE, RED)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"prompt": "", "system": "Be brief."}, "'prompt' is empty"),
        ({"prompt": "a", "format": {"type": "object", "unevaluatedItems": False}}, "schema"),
    ],
    ids=str,
)
def test_sentences_have_the_names_of_this_api(body: dict[str, Any], words: str) -> None:
    answer = Doors().send("/api/generate", json={"model": "gemma", **body})
    assert words in content(answer)["error"]["message"]
    assert "response_format" not in answer.text


def test_an_error_in_a_stream_is_its_last_line() -> None:
    doors = Doors(lambda job: errors.RunnerFailed("It broke."))
    answer = doors.send("/api/generate", json={"model": "gemma", "prompt": "a"})
    assert answer.status_code == 502  # before the first piece it has its status
    assert content(answer)["error"]["message"] == "It broke."


def test_what_is_on_offer() -> None:
    doors = Doors()
    listed = run(client(doors).list()).models
    assert [model.model for model in listed] == [f"{name}:latest" for name in REGISTRY]
    assert all(model.size and model.size > 10**8 for model in listed)
    shown = run(client(doors).show("moondream"))
    assert shown.capabilities == ["completion", "vision", "thinking"]
    assert shown.details is not None
    assert shown.details.parameter_size == "1.9B"
    assert [model.model for model in run(client(doors).ps()).models] == [f"{name}:latest" for name in REGISTRY]
    assert run(get(doors, "/api/version")).json() == {"version": VERSION}


async def get(doors: Doors, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(doors.app), base_url="http://looksee") as http:
        return await http.get(path)


@pytest.mark.parametrize("task", [Task.CAPTION, Task.QUERY])
def test_models_are_asked_in_their_own_words(task: Task) -> None:
    doors = Doors()
    generate(doors, "gemma", "", images=[RED])
    assert asked(doors).prompt == prompts.query("gemma", prompts.caption("gemma"))


def test_what_is_loaded_expires_when_its_runner_says() -> None:
    doors = Doors()
    doors.proxies["gemma"].reports = {"expires": 2e9}
    doors.proxies["blip"].reports = {"state": "unloaded"}
    loaded = {one.model: one.expires_at for one in run(client(doors).ps()).models}
    assert "blip:latest" not in loaded
    assert loaded["gemma:latest"] == datetime.fromtimestamp(2e9, UTC)
    later = loaded["moondream:latest"]
    assert later is not None
    assert later > datetime.now(UTC) + timedelta(hours=23)  # it stays
