"""The bodies of all requests under way stay within their bytes, and slow ones keep nobody out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Scope

from looksee.core import errors
from looksee.http.app import ROUTES
from looksee.http.edge import upload_budget
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from looksee.http.edge.upload_budget import ArrivingBody, UploadBudget
from tests.support.loops import run, settle

PATH, FREE = "/v1/chat/completions", 64 * 2**10


class FakeTime:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def begun(budget: UploadBudget, given_way: list[ArrivingBody], *received: int) -> list[ArrivingBody]:
    """A body for each number of bytes that count."""
    uploads = []
    for nbytes in received:
        uploads.append(upload := budget.begin())
        upload.give_way = lambda error, own=upload: given_way.append(own)  # type: ignore[misc]
        assert upload.add(nbytes + FREE) is None
    return uploads


def test_a_body_counts_until_its_request_ends() -> None:
    budget = UploadBudget(100, FakeTime())
    one, two = begun(budget, [], 60, 40)
    third = budget.begin()
    assert third.add(FREE) is None  # these bytes are anybody's
    assert isinstance(third.add(1), errors.Overloaded)
    third.end()
    with pytest.raises(errors.Overloaded) as caught:
        budget.begin().check(FREE + 1)
    assert caught.value.retry_after
    budget.begin().check(FREE)
    one.arrives = False
    assert isinstance(budget.begin().add(FREE + 1), errors.Overloaded)
    one.end()
    budget.begin().check(FREE + 20)
    two.end()
    one.end()  # again: without effect


def test_slow_bodies_give_way_the_slowest_first_and_no_more_than_needed() -> None:
    clock, given_way = FakeTime(), list[ArrivingBody]()
    budget = UploadBudget(100, clock)
    slow, arrived, slower = begun(budget, given_way, 40, 30, 20)
    arrived.arrives = False
    new = budget.begin()
    assert isinstance(new.add(FREE + 11), errors.Overloaded)  # none has had its time yet
    new.end()
    clock.now = 5.1
    budget.begin().check(FREE + 70)
    with pytest.raises(errors.Overloaded):
        budget.begin().check(FREE + 71)
    (new,) = begun(budget, given_way, 11)
    assert given_way == [slower]
    clock.now = 10.0
    assert isinstance(new.add(60), errors.Overloaded)  # too much, though all gave way: nobody does
    assert given_way == [slower]
    new.received -= 60
    assert new.add(59) is None
    assert given_way == [slower, slow]
    assert budget.uploads >= {arrived, new}


class Caller:
    """A request whose body is sent in parts; `sent` has the messages of the answer."""

    def __init__(self, edge: EdgeMiddleware, parts: Sequence[bytes], *, declared: int | None = None) -> None:
        self.sent: list[Message] = []
        self.more = asyncio.Event()
        self.parts = list(parts)
        length = [] if declared is None else [(b"content-length", str(declared).encode())]
        headers = [(b"content-type", b"application/json"), *length]
        scope: Scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}
        self.read = 0
        self.task = asyncio.create_task(edge(scope, self.receive, self.send))

    async def receive(self) -> Message:
        if self.read == len(self.parts):
            await self.more.wait()
            return {"type": "http.request", "body": b"", "more_body": False}
        self.read += 1
        return {"type": "http.request", "body": self.parts[self.read - 1], "more_body": True}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"]) if self.sent else 0

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


def edge(limit: int, answering: asyncio.Event | None = None) -> EdgeMiddleware:
    async def read(request: Request) -> PlainTextResponse:
        size = len(await request.body())
        if answering is not None:
            await answering.wait()
        return PlainTextResponse(f"{size}")

    app = Starlette(routes=[Route(PATH, read, methods=["POST"])])
    access: Any = AccessControl(ApiKeys([]), ApiKeys([]))
    return EdgeMiddleware(app, access, ROUTES, max_body=10**6, timeout=5, longest=9, max_uploads=limit)


def test_a_body_that_finds_no_room_is_refused_and_room_comes_back() -> None:
    async def main() -> None:
        answering = asyncio.Event()
        door = edge(2 * 10**5, answering)
        first = Caller(door, [b"x" * (10**5 + FREE)])
        first.more.set()
        await settle(20)
        declared = Caller(door, [b"x"], declared=10**5 + FREE + 1)
        chunked = Caller(door, [b"x" * 10**5, b"x" * 10**5])
        small = Caller(door, [b"x" * FREE])
        small.more.set()
        await asyncio.gather(declared.task, chunked.task)
        assert (declared.status, declared.read) == (429, 0)
        assert (chunked.status, chunked.read) == (429, 2)
        assert declared.headers[b"retry-after"] == chunked.headers[b"retry-after"] == b"2"
        answering.set()
        await asyncio.gather(first.task, small.task)
        assert (first.status, small.status) == (200, 200)
        assert door._uploads is not None
        assert door._uploads.uploads == set()
        again = Caller(door, [b"x" * (2 * 10**5 + FREE)], declared=2 * 10**5 + FREE)
        again.more.set()
        await again.task
        assert again.status == 200

    run(main())


def test_a_slow_upload_gives_way_while_it_waits_for_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_budget, "_PATIENCE", 0.0)

    async def main() -> None:
        door = edge(10**5)
        slow = [Caller(door, [b"x" * (50_000 + FREE)], declared=10**5) for _ in range(2)]
        await settle(20)
        quick = Caller(door, [b"x" * (10**5 + FREE)], declared=10**5 + FREE)
        quick.more.set()
        await asyncio.wait_for(asyncio.gather(quick.task, *(one.task for one in slow)), 3)
        assert quick.status == 200
        assert [one.status for one in slow] == [429, 429]
        assert all(one.headers[b"retry-after"] == b"2" for one in slow)
        assert b"too slow" in slow[0].sent[1]["body"]

    run(main())
