"""Paths whose clients read an error as a text get one, whoever refuses the request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from tests.http.app import Doors
from tests.support.loops import run

KEY = "a-key-of-some-length"


def sent(method: str, path: str, *, key: str = KEY, **options: Any) -> httpx.Response:
    access = AccessControl(ApiKeys([KEY]), ApiKeys([]))
    edge = EdgeMiddleware(Doors().app, access, ROUTES, max_body=10_000, timeout=60, longest=80)

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://looksee") as client:
            return await client.request(method, path, headers={"X-API-Key": key}, **options)

    return run(main())


@pytest.mark.parametrize(
    ("sent_as", "status", "code"),
    [
        ({"key": "wrong", "json": {}}, 403, "wrong_key"),
        ({"content": b"x" * 20_000}, 413, "request_too_large"),
        ({"content": b"{"}, 400, "invalid_request"),
        ({"json": {"model": "llava", "prompt": "a"}}, 404, "model_not_found"),
        ({"json": {"model": 5}}, 422, "invalid_value"),
        ({"params": {"a": "b"}, "json": {}}, 400, "unsupported_parameter"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_message_is_the_error(sent_as: dict[str, Any], status: int, code: str) -> None:
    answer = sent("POST", "/api/generate", **sent_as)
    content = answer.json()
    assert (answer.status_code, content["code"]) == (status, code), content
    assert isinstance(content["error"], str)
    assert "detail" not in content
    assert content["request_id"]


@pytest.mark.parametrize("path", ["embed", "embeddings", "create", "copy", "delete", "push", "blobs/sha256:0a"])
def test_what_is_not_offered_says_so(path: str) -> None:
    answer = sent("POST", f"/api/{path}", json={"model": "gemma"})
    assert (answer.status_code, answer.json()["code"]) == (501, "not_offered")
    assert answer.json()["error"].endswith(".")


def test_a_method_that_a_path_does_not_take() -> None:
    answer = sent("GET", "/api/generate")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    ("path", "sent_as", "status", "reason"),
    [
        ("caption", {"key": "wrong", "json": {}}, 403, "wrong_key"),
        ("caption", {"content": b"x" * 20_000}, 413, "request_too_large"),
        ("labels", {"json": {"model": 5}}, 422, "invalid_value"),
        ("nsfw", {"json": {}}, 501, "not_offered"),
        ("face", {"json": {}}, 501, "not_offered"),
    ],
)
def test_photoprism_reads_the_status_as_the_code(path: str, sent_as: dict[str, Any], status: int, reason: str) -> None:
    answer = sent("POST", f"/api/v1/vision/{path}", **sent_as)
    content = answer.json()
    assert (answer.status_code, content["code"], content["reason"]) == (status, status, reason)
    assert isinstance(content["error"], str)
    assert content["request_id"]


def test_other_paths_have_an_object() -> None:
    assert sent("POST", "/v1/caption", json={}).json()["error"]["code"]
