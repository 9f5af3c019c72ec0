"""The APIs of OpenAI's, Ollama's and Moondream's clients, whole and streamed, batches, and BentoML's own client."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import bentoml

from tools.soak.container import of_container
from tools.soak.exchange import (
    BOX,
    LENGTHS,
    SPOT,
    BadShape,
    Query,
    Refused,
    Told,
    checked,
    data_uri,
    places,
    posted,
    route_of,
)
from tools.soak.questions import DETECT, POINT, QUERY, TOGETHER


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        text = line.decode().strip()
        if text.startswith("data: {"):
            event: dict[str, Any] = json.loads(text.removeprefix("data: "))
            if "error" in event or "code" in event:
                told = event.get("error")
                raise Refused(0, str(told.get("code") if isinstance(told, dict) else event.get("code")))
            yield event


def _chat_body(query: Query, *, stream: bool) -> dict[str, Any]:
    content = [{"type": "text", "text": query.words}]
    pictures = [{"type": "image_url", "image_url": {"url": data_uri(file)}} for file in query.files]
    message = {"role": "user", "content": [*content, *pictures]}
    return {"model": query.model, "messages": [message], "stream": stream}


async def chat(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    body = await posted(session, f"{url}/v1/chat/completions", _chat_body(query, stream=False))
    return [Told(str(body["choices"][0]["message"]["content"]))]


async def chat_stream(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    sent = io.BytesIO(json.dumps(_chat_body(query, stream=True)).encode())
    text, ended = "", False
    headers = {"Content-Type": "application/json"}
    async with session.post(f"{url}/v1/chat/completions", data=sent, headers=headers) as response:
        if response.status != 200:
            await checked(response)
        async for event in _events(response):
            for choice in event["choices"]:
                text += choice["delta"].get("content") or ""
                ended = ended or choice["finish_reason"] is not None
    if not ended:
        raise BadShape("a chat's stream has no end")
    return [Told(text)]


def _ollama_body(query: Query, *, stream: bool) -> dict[str, Any]:
    images = [base64.b64encode(file).decode() for file in query.files]
    message = {"role": "user", "content": query.words, "images": images}
    return {"model": f"{query.model}:latest", "messages": [message], "stream": stream}


async def ollama_chat(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    body = await posted(session, f"{url}/api/chat", _ollama_body(query, stream=False))
    return [Told(str(body["message"]["content"]), body["cache"])]


async def ollama_stream(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    sent = io.BytesIO(json.dumps(_ollama_body(query, stream=True)).encode())
    text, cached = "", None
    async with session.post(f"{url}/api/chat", data=sent, headers={"Content-Type": "application/json"}) as response:
        if response.status != 200:
            await checked(response)
        async for line in response.content:
            part = json.loads(line)
            if "error" in part:
                raise Refused(0, str(part["code"]))
            text += part["message"]["content"]
            cached = part["cache"] if part["done"] else cached
    if cached is None:
        raise BadShape("a stream of Ollama's API has no end")
    return [Told(text, cached)]


def _moondream(query: Query) -> tuple[str, dict[str, Any]]:
    route, members = route_of(query)
    return f"v1/{route}", {**members, "image_url": data_uri(query.files[0])}


async def v1(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    route, members = _moondream(query)
    return [_of_moondream(query.kind, await posted(session, f"{url}/{route}", members))]


def _of_moondream(kind: str, body: dict[str, Any]) -> Told:
    if kind == DETECT:
        return Told(places(body["objects"], BOX), body["cache"])
    if kind == POINT:
        return Told(places(body["points"], SPOT), body["cache"])
    name = {QUERY: "answer", TOGETHER: "collective_caption"}.get(kind, "caption")
    return Told(str(body[name]), body["cache"])


async def v1_stream(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    route, members = _moondream(query)
    sent = io.BytesIO(json.dumps({**members, "stream": True}).encode())
    text, cached = "", None
    async with session.post(f"{url}/{route}", data=sent, headers={"Content-Type": "application/json"}) as response:
        if response.status != 200:
            await checked(response)
        async for event in _events(response):
            text += event["chunk"]
            cached = event["cache"] if event["completed"] else cached
    if cached is None:
        raise BadShape("a stream has no end")
    return [Told(text, cached)]


async def batch(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    items = []
    for number, query in enumerate(queries):
        _, members = route_of(query) if query.kind != TOGETHER else ("", {"model": query.model})
        task = "collective" if query.kind == TOGETHER else "caption" if query.kind in LENGTHS else query.kind
        files = [data_uri(file) for file in query.files]
        picture: dict[str, Any] = {"images": files} if query.kind == TOGETHER else {"image": files[0]}
        items.append({"id": f"item-{number}", "task": task, **picture, **members})
    sent = io.BytesIO(json.dumps({"items": items}).encode())
    found: dict[str, dict[str, Any]] = {}
    async with session.post(f"{url}/v1/batch", data=sent, headers={"Content-Type": "application/json"}) as response:
        if response.status != 200:
            await checked(response)
        lines = [json.loads(line) async for line in response.content if line.strip()]
    if "done" not in lines[-1]:
        raise BadShape("a batch has no end")
    for line in lines[:-1]:
        if line["id"] != f"item-{line['index']}" or line["id"] in found:
            raise BadShape(f"a batch's line has the id {line['id']} and the index {line['index']}")
        found[line["id"]] = line
    return [_of_line(query.kind, found[f"item-{number}"]) for number, query in enumerate(queries)]


def _of_line(kind: str, line: dict[str, Any]) -> Told:
    if "error" in line:
        return Told(Refused(line["status"], str(line["error"].get("code"))))
    return _of_moondream(kind, line)


async def bento_client(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    """With a session of its own, as such a client has it."""
    (query,) = queries
    route, members = route_of(query)
    async with bentoml.AsyncHTTPClient(url) as client:
        try:
            body = await getattr(client, route)(image=data_uri(query.files[0]), **members)
        except bentoml.exceptions.BentoMLException as error:
            raise Refused(int(error.error_code), "") from error
    return [of_container(query.kind, body)]
