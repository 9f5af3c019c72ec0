"""The page on edges names every limit, and a request beyond one gets what the page says."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from looksee.core import errors
from looksee.http.inputs.bodies import MOST_NAMES
from looksee.settings import Settings
from looksee.settings import tables as setting_tables
from tests.support import pictures
from tests.support.serving import API_KEY, Service
from tools.documents.edges import EDGES

ALL = [edge for edges in EDGES.values() for edge in edges]
_LIMIT = re.compile(r"(^|_)(MAX|MIN)_|_(SECONDS|MS|BYTES)$|PER_MINUTE$|CAPACITY$")
SCENE_FILE = pictures.scene("edges")[0]
SCENE = base64.b64encode(SCENE_FILE).decode()


def test_every_setting_that_limits_is_on_the_page() -> None:
    limits = {variable for variable, _, _ in setting_tables.rows() if _LIMIT.search(variable)}
    assert len(limits) > 20
    assert limits <= {edge.limit for edge in ALL}


def test_every_error_is_on_the_page() -> None:
    assert {edge.error for edge in ALL if edge.error} == set(errors.BY_CODE.values()) - {errors.Cancelled}


def test_waiting_is_told_where_it_helps() -> None:
    for edge in ALL:
        if edge.error in (errors.Overloaded, errors.RateLimited, errors.ModelNotReady):
            assert "`Retry-After`" in edge.header, edge


def post(path: str, body: Any) -> Callable[[httpx.Client], httpx.Response]:
    return lambda client: client.post(path, json=body)


def upload(*files: bytes, query: str = "") -> Callable[[httpx.Client], httpx.Response]:
    parts = [("images", (f"{number}.png", file)) for number, file in enumerate(files)]
    return lambda client: client.post(f"/api/caption-images?model=blip{query}", files=parts)


def packed(content: bytes, encoding: str = "gzip") -> Callable[[httpx.Client], httpx.Response]:
    return lambda client: client.post("/v1/query", content=content, headers={"Content-Encoding": encoding})


def chat(messages: Any, **more: Any) -> Callable[[httpx.Client], httpx.Response]:
    return post("/v1/chat/completions", {"model": "gemma", "messages": messages, **more})


def user(content: Any = "Hello") -> Any:
    return {"role": "user", "content": content}


def announced(length: int) -> Callable[[httpx.Client], httpx.Response]:
    """A request that says how long its body is, and does not send it."""

    def send(client: httpx.Client) -> httpx.Response:
        connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/caption", headers={"Content-Length": str(length)})
            answer = connection.getresponse()
            return httpx.Response(answer.status, content=answer.read())

    return send


def raw(sent: bytes) -> Callable[[httpx.Client], httpx.Response]:
    """What is sent to the service as it stands."""

    def send(client: httpx.Client) -> httpx.Response:
        with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=60) as connection:
            connection.sendall(sent)
            with http.client.HTTPResponse(connection) as answer:
                answer.begin()
                return httpx.Response(answer.status, content=answer.read())

    return send


def hurried(client: httpx.Client) -> httpx.Response:
    """A request to a model that is loaded, and no time to answer it in."""
    client.post("/caption", json={"image": SCENE}).raise_for_status()
    return client.post("/caption", json={"image": SCENE, "prompt": "Hurry."}, headers={"X-Request-Timeout": "0.001"})


def batch(*items: Any, **more: Any) -> Callable[[httpx.Client], httpx.Response]:
    return post("/v1/batch", {"items": list(items), **more})


DEFAULTS = Settings.model_construct()
PART = {"type": "text", "text": "x"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:,"}}
TOOL = {"type": "function", "function": {"name": "f"}}
QUERY = {"image": SCENE, "question": "What is it?"}
ASKED = {"model": "gemma", "image_url": SCENE, "question": "What is it?"}
FIND = {"image": SCENE, "object": "circle"}
# Not here: what an operator sets, and what needs a fault. Tests of the rooms that raise those errors see to them.
BEYOND: dict[str, Callable[[httpx.Client], httpx.Response]] = {
    "bytes of a body": announced(DEFAULTS.max_request_bytes + 1),
    "bytes of a request's line and headers": raw(b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000),
    "what is no HTTP request": raw(b"hello\r\n\r\n"),
    "values in a JSON body": lambda client: client.post("/v1/query", content=b"[" + b"0," * 1_000_000 + b"0]"),
    "names and texts in a JSON body": post("/v1/query", {str(number): 0 for number in range(MOST_NAMES + 1)}),
    "a body that is not JSON where JSON is expected": lambda client: client.post("/v1/query", content=b"{"),
    "a member that is missing or has a wrong type": post("/v1/query", {"image_url": SCENE}),
    "bytes of a compressed body, unpacked": lambda client: packed(gzip.compress(bytes(DEFAULTS.max_request_bytes + 1)))(
        client
    ),
    "a `Content-Encoding` but gzip and deflate": packed(b"{}", "br"),
    "a compressed body that is none, or breaks off": packed(b"{}"),
    "JSON in UTF-16 or UTF-32": lambda client: client.post("/v1/query", content="{}".encode("utf-16")),
    "a member, form field or query parameter that the route does not have": post("/query", {**QUERY, "prompt": "x"}),
    "a member that an item of a batch does not have": batch({"image": SCENE, "promt": "x"}),
    "different values of one parameter, in the form and the query or twice": upload(SCENE_FILE, query="&model=gemma"),
    "a body where none is taken": lambda client: client.post(
        "/api/admin/reset-cache", json={"scope": "database"}, headers={"X-API-Key": API_KEY}
    ),
    "no JSON, and a Content-Type that says so, on a route of JSON": lambda client: client.post(
        "/v1/query", content=b"What?", headers={"Content-Type": "text/plain"}
    ),
    "a form without a boundary, or whose body lacks it or its end": lambda client: client.post(
        "/api/caption-images", content=b"--x", headers={"Content-Type": "multipart/form-data"}
    ),
    "parts of a form, texts": lambda client: client.post(
        "/api/caption-images", files={"images": ("a.png", b"x")}, data={"strict": ["true"] * 1001}
    ),
    "multipart/form-data on a route of JSON": lambda client: client.post("/caption", files={"image": b"x"}),
    "a page of another origin that has work done, or asks an admin route": lambda client: client.post(
        "/v1/query", content=b"{}", headers={"Content-Type": "text/plain", "Origin": "https://elsewhere.example"}
    ),
    "a route of Ollama's that makes embeddings or models": post("/api/embed", {"model": "gemma", "input": "x"}),
    "weights that are pulled without the service's key": post("/api/pull", {"model": "blip"}),
    "stop strings of Ollama's `options`": post("/api/generate", {"model": "blip", "options": {"stop": ["a"] * 17}}),
    "characters of a model's name in Ollama's API": post("/api/show", {"model": "x" * 257}),
    "an unknown address": lambda client: client.get("/nope"),
    "a wrong HTTP method": lambda client: client.put("/v1/query"),
    "a route that no model here can serve": post("/v1/segment", {}),
    "seconds from the body's arrival to the answer": hurried,
    "`X-Request-Timeout` that is no positive number": lambda client: client.post(
        "/caption", json={"image": SCENE}, headers={"X-Request-Timeout": "0"}
    ),
    "bytes of a file": upload(b"\x89PNG\r\n\x1a\n" + bytes(DEFAULTS.max_file_bytes)),
    "pictures of a request": upload(*[b"x"] * (DEFAULTS.max_files + 1)),
    "pixels of the shortest side, at least": upload(pictures.tiny()),
    "pixels of a picture": upload(pictures.bomb()),
    "an empty file": upload(b""),
    "bytes of no format that is set": upload(pictures.TEXT),
    "a damaged picture": upload(pictures.truncated()),
    "a text that is no base64": post("/caption", {"image": "%%%"}),
    "a host that is not named": post("/caption", {"image": "https://example.org/a.png"}),
    "characters of an address": post("/caption", {"image": f"https://example.org/{'a' * 4096}"}),
    "characters of a prompt": post("/query", {**QUERY, "question": "x" * (DEFAULTS.max_prompt_chars + 1)}),
    "characters of a chat": chat([user("x" * (DEFAULTS.max_chat_chars + 1))]),
    "tokens of a chat": chat([user("red " * 3000)]),
    "a question of nothing but space": post("/query", {**QUERY, "question": " "}),
    "new tokens of an answer": post("/caption", {"image": SCENE, "max_new_tokens": DEFAULTS.max_new_tokens + 1}),
    "`objects` of a request": post("/detect", {"image": SCENE, "objects": ["circle"] * 33}),
    "`object` and `objects` together, or neither": post("/detect", {**FIND, "objects": ["circle"]}),
    "seconds since a picture was last sent": post("/caption", {"image": f"sha256:{'0' * 64}"}),
    "a text that begins as an id and is none": post("/caption", {"image": "sha256:12"}),
    "`max_objects`": post("/detect", {"image": SCENE, "object": "circle", "max_objects": 151}),
    "`threshold`": post("/detect", {"image": SCENE, "object": "circle", "threshold": 1.5}),
    "`max_words`": post("/caption", {"image": SCENE, "max_words": 1001}),
    "`language` that is none, or that nobody here knows": post("/caption", {"image": SCENE, "language": "Klingon"}),
    "`labels` of a request": post("/classify", {"image": SCENE, "labels": ["red"]}),
    "`top_logprobs`": chat([user()], logprobs=True, top_logprobs=21),
    "`top_logprobs` without `logprobs`": chat([user()], top_logprobs=5),
    "messages of a chat": chat([user()] * 1025),
    "a chat whose last message says nothing": chat([user(), user(" ")]),
    "pictures of a chat": chat([user([PICTURE] * (DEFAULTS.max_files + 1))]),
    "functions of a chat": chat([user()], tools=[TOOL] * 129, tool_choice="none"),
    "functions of a chat of which none is forced": chat([user()], tools=[TOOL]),
    "parts of a message": chat([user([PART] * 257)]),
    "stop strings of a chat": chat([user()], stop=["a"] * 5),
    "`choices` of an answer": post("/v1/query", {**ASKED, "choices": ["a"] * 101}),
    "characters of a `regex`": post("/v1/query", {**ASKED, "regex": "a" * 1001}),
    "a form that no answer can have, or that takes too much": chat([user()], regex="("),
    "`spatial_refs` of a request": post(
        "/v1/query", {"image_url": SCENE, "question": "what?", "spatial_refs": [[0.5, 0.5]] * 65}
    ),
    "a parameter of the OpenAI API that has no effect here": chat([user()], web_search_options={}),
    "a stored response or conversation, referred to": post(
        "/v1/responses", {"model": "gemma", "input": "Hello", "previous_response_id": "resp_1"}
    ),
    "the address of a stored response": lambda client: client.get("/v1/responses/resp_1"),
    "a model's name in a parameter": post("/caption", {"image": SCENE, "model": "nope"}),
    "a model's name in a chat, or in an address": lambda client: client.get("/v1/models/nope"),
    "a task that the model does not have": post("/query", {**QUERY, "model": "blip"}),
    "items of a batch": batch(*[{}] * (DEFAULTS.max_batch_items + 1)),
    "entries in `images`": batch({}, images={f"{number}": "" for number in range(DEFAULTS.max_batch_items + 1)}),
    "pictures of a `collective` item": batch({"task": "collective", "images": [SCENE] * (DEFAULTS.max_files + 1)}),
}


def test_what_is_provoked_is_on_the_page() -> None:
    assert BEYOND.keys() <= {edge.what for edge in ALL}


@pytest.mark.parametrize("what", BEYOND)
def test_beyond_an_edge_comes_what_the_page_says(what: str, service: Service) -> None:
    edge = next(edge for edge in ALL if edge.what == what)
    wanted = edge.error
    assert wanted is not None
    answer = BEYOND[what](service.client)
    line = json.loads(answer.text.partition("\n")[0])
    if answer.status_code == 200:  # a batch, or a picture among several
        line = line["results"][0] if "results" in line else line
        assert line["status"] == edge.status
    else:
        assert answer.status_code == edge.status, answer.text[:500]
    told = line if isinstance(line["error"], str) else line["error"]  # as Ollama's clients read it
    assert told["code"] == wanted.code
