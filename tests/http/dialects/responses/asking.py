"""Requests of OpenAI's Responses API."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import httpx2
import openai

from looksee.core.tasks import Job
from tests.http.app import Doors
from tests.support.files import plain
from tests.support.loops import run

RED, BLUE = plain(), plain(colour=(0, 0, 200))
FUNCTION = {
    "type": "function",
    "name": "note",
    "description": "Notes a colour.",
    "parameters": {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]},
    "strict": True,
}
FORCED = {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "note"}}


def client(doors: Doors) -> openai.AsyncOpenAI:
    transport = httpx2.ASGITransport(doors.app, raise_app_exceptions=False)
    http = httpx2.AsyncClient(transport=transport)
    return openai.AsyncOpenAI(base_url="http://looksee/v1", api_key="none", max_retries=0, http_client=http)


def create(doors: Doors, asked: Any = "What is it?", model: str = "gemma", **options: Any) -> Any:
    return run(client(doors).responses.create(model=model, input=asked, **options))


def asked_of(doors: Doors, model: str = "gemma") -> Job:
    ((job,),) = doors.calls(model)
    return job


def raw(doors: Doors, **body: Any) -> httpx.Response:
    return doors.send("/v1/responses", json={"model": "gemma", "input": "What is it?", **body})


def picture(data: bytes = RED) -> dict[str, Any]:
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "input_image", "image_url": uri, "detail": "auto"}


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}
