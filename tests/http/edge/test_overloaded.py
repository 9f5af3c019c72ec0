"""A model that takes no more is known at the door, before the body of a request for it is read."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from looksee.core import errors
from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from tests.http.app import Doors
from tests.support.loops import run


@pytest.mark.parametrize(
    ("path", "query", "model"),
    [
        ("/api/caption-images", b"", "blip"),
        ("/api/caption-images", b"strict=true&model=gemma", "gemma"),
        ("/api/caption-collective-images", b"", "gemma"),
        ("/api/caption-collective-images", b"model=intern_vlm", "intern_vlm"),
    ],
)
def test_nothing_is_read_for_a_model_whose_queue_is_full(path: str, query: bytes, model: str) -> None:
    asked: list[str] = []

    def full(name: str) -> None:
        asked.append(name)
        raise errors.Overloaded("The queue is full.", retry_after=3)

    sent: list[Any] = []

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    door = EdgeMiddleware(
        Doors().app,
        AccessControl(ApiKeys([]), ApiKeys([])),
        ROUTES,
        max_body=10**6,
        timeout=5,
        longest=5,
        check_room=full,
    )
    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"1000")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "headers": headers}
    run(door(scope, receive, send))
    assert asked == [model]
    assert sent[0]["status"] == 429
    assert (b"retry-after", b"3") in sent[0]["headers"]
