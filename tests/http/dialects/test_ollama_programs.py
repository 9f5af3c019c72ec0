"""Requests as programs that speak Ollama's API send them, by their sources and documentation, and what becomes of them.

PhotoPrism's and LLM Vision's are bodies of their own; Home Assistant, Frigate and Open WebUI's converter use what the
`ollama` package or a plain client sends.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import httpx
import ollama
import pytest

from looksee.core.tasks import Answer, Job, Sampling, Turn
from tests.http.app import Doors
from tests.support.files import plain
from tests.support.loops import run

RED, BLUE = plain(), plain(colour=(0, 0, 200))
RED_TEXT, BLUE_TEXT = (base64.b64encode(one).decode() for one in (RED, BLUE))
SAID = "a red circle"
LABELS = {"labels": [{"name": "circle", "confidence": 0.9, "topicality": 0.8}]}


def doors(text: str = SAID) -> Doors:
    return Doors(lambda job: text)


def asked(doors: Doors, model: str = "gemma") -> Job:
    ((job,),) = doors.calls(model)
    return job


def sent(doors: Doors, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = doors.send(path, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def photo_library(**more: Any) -> dict[str, Any]:
    """PhotoPrism's body: `id`, an empty `suffix` and `stream` are always there, and what is zero is left out."""
    common = {"id": str(uuid.uuid4()), "model": "gemma3", "suffix": "", "stream": False, "images": [RED_TEXT]}
    return {**common, **more}


def test_photoprism_asks_for_a_caption() -> None:
    models = doors()
    prompt = "Create a caption with one sentence in the active voice."
    answer = sent(models, "/api/generate", photo_library(prompt=prompt, options={"temperature": 0.1}))
    assert (answer["response"], answer["model"], answer["done"]) == (SAID, "gemma3", True)
    assert asked(models).sampling == Sampling(0.1)
    assert asked(models).images == (RED,)
    for count in ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count"):
        assert isinstance(answer[count], int)  # a fraction or a text there is an error to its decoder


def test_photoprism_asks_for_labels() -> None:
    models = doors(json.dumps(LABELS))
    body = photo_library(
        version="latest",
        system="Output JSON that matches the schema.",
        prompt="Return labels with name, confidence and topicality.",
        format="json",
        options={"temperature": 0.1, "top_p": 0.9, "stop": ["\n\n"], "num_ctx": 4096, "penalize_newline": True},
    )
    assert json.loads(sent(models, "/api/generate", body)["response"]) == LABELS
    job = asked(models)
    assert job.turns[0] == Turn("system", ("Output JSON that matches the schema.",))
    assert job.sampling == Sampling(0.1, 0.9)
    assert job.stop == ("\n\n",)


def client(models: Doors) -> ollama.AsyncClient:
    return ollama.AsyncClient("http://looksee", transport=httpx.ASGITransport(models.app))


def test_home_assistant_describes_an_attachment() -> None:
    async def ask(models: Doors) -> str:
        await client(models).list()
        stream = await client(models).chat(
            model="gemma:latest",
            messages=[
                ollama.Message(role="system", content="You are a Home Assistant expert."),
                ollama.Message(role="user", content="What is at the door?", images=[ollama.Image(value=RED)]),
            ],
            tools=None,
            stream=True,
            keep_alive=-1,
            options={"num_ctx": 8192},
            think=False,
            format=None,
        )
        return "".join([part.message.content or "" async for part in stream])

    models = doors()
    assert run(ask(models)) == SAID
    assert asked(models).turns == (
        Turn("system", ("You are a Home Assistant expert.",)),
        Turn("user", (None, "What is at the door?")),
    )


def test_home_assistant_asks_for_data() -> None:
    """An action of its AI tasks: a schema as it makes one of a form."""
    schema = {"type": "object", "properties": {"count": {"type": "number"}}, "required": ["count"]}

    async def ask(models: Doors) -> list[ollama.ChatResponse]:
        message = ollama.Message(role="user", content="How many?", images=[ollama.Image(value=RED)])
        stream = await client(models).chat("gemma", [message], stream=True, keep_alive="-1s", format=schema)
        return [part async for part in stream]

    parts = run(ask(doors('{"count": 2}')))
    assert json.loads("".join(part.message.content or "" for part in parts)) == {"count": 2}
    assert parts[-1].done


def test_llm_vision_asks_about_several_pictures() -> None:
    """Each picture is in a message of its own with its name, and the question in the last one."""
    models = doors()
    body = {
        "model": "gemma3",
        "messages": [
            {"role": "user", "content": "Image 1:", "images": [RED_TEXT]},
            {"role": "user", "content": "Image 2:", "images": [BLUE_TEXT]},
            {"role": "user", "content": "What changed?"},
        ],
        "system": "Answer in one sentence.",
        "stream": False,
        "keep_alive": 5,
        "options": {"num_predict": 3000, "temperature": 0.5, "num_ctx": 2048},
    }
    assert sent(models, "/api/chat", body)["message"] == {"role": "assistant", "content": SAID}
    job = asked(models)
    assert job.turns == (
        Turn("system", ("Answer in one sentence.",)),
        Turn("user", (None, "Image 1:", None, "Image 2:\nWhat changed?")),
    )
    assert job.images == (RED, BLUE)
    assert job.max_new_tokens == models.settings.max_new_tokens


@pytest.mark.parametrize(("model", "thinks"), [("gemma", False), ("moondream", True)])
def test_frigate_describes_an_event(model: str, thinks: bool) -> None:
    """It asks first what the model can, and says `think` to those that can."""

    async def ask(models: Doors) -> ollama.ChatResponse:
        shown = await client(models).show(model)
        assert ("thinking" in (shown.capabilities or [])) is thinks
        message = {"role": "user", "content": "[img]\nDescribe the person.", "images": [RED]}
        options = {"temperature": 0.5, "repeat_penalty": 1.05, "presence_penalty": 0.3}
        return await client(models).chat(model, [message], options=options, think=False if thinks else None)

    models = doors()
    answer = run(ask(models))
    assert answer.message.content == SAID
    assert isinstance(answer.eval_count, int)
    job = asked(models, model)
    assert job.images == (RED,)
    assert (job.sampling.repetition_penalty, job.sampling.presence_penalty) == (1.05, 0.3)


def test_frigate_counts_tokens() -> None:
    async def ask(models: Doors) -> ollama.ChatResponse:
        message = {"role": "user", "content": ".", "images": [RED]}
        return await client(models).chat("gemma", [message], options={"num_predict": 1})

    models = doors()
    assert isinstance(run(ask(models)).prompt_eval_count, int)
    assert asked(models).max_new_tokens == 1


def test_open_webui_goes_on_with_a_chat() -> None:
    models = doors()
    body = {
        "model": "gemma:latest",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is it?", "images": [RED_TEXT]},
            {"role": "assistant", "content": "a circle"},
            {"role": "user", "content": "Which colour?"},
        ],
        "stream": True,
        "options": {"temperature": 0.8, "num_predict": 128, "stop": ["END"], "mirostat": 0, "repeat_last_n": 64},
    }
    answer = models.send("/api/chat", json=body)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert "".join(line["message"]["content"] for line in lines) == SAID
    assert [line["done"] for line in lines[-2:]] == [False, True]
    assert len(asked(models).turns) == 4


def test_a_picture_node_keeps_nothing_loaded() -> None:
    """`keep_alive` beside a question is not heeded: the model stays."""
    body = {"model": "moondream", "prompt": "What is it?", "images": [RED_TEXT], "stream": False, "keep_alive": "0m"}
    models = Doors(lambda job: Answer(SAID, "stop", 5, 3))
    assert sent(models, "/api/generate", body)["response"] == SAID
    assert models.proxies["moondream"].orders == []
