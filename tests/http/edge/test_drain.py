"""A gateway that was told to end: what it accepted is answered, nothing more is taken, and nobody is left untold."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from looksee.core.tasks import Call
from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.drain import Drain
from looksee.http.edge.middleware import EdgeMiddleware
from looksee.http.request_info import DEADLINE, Deadline
from tests.http.app import Doors, error
from tests.support.files import plain
from tests.support.loops import run, settle, until

PICTURE = base64.b64encode(plain()).decode()
OTHER = base64.b64encode(plain(colour=(1, 2, 3))).decode()
HEALTH = ("/healthz", "/livez", "/health", "/metrics")


class Drained:
    """An app whose answers wait for `go`, behind an edge with a drain."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[str] = []
        self.drain = Drain()
        paths = [*HEALTH, "/readyz", "/ask", "/slow", "/stream", "/lines"]
        app = Starlette(routes=[Route(path, self.answer, methods=["GET", "POST"]) for path in paths])
        access = AccessControl(ApiKeys([]), ApiKeys([]))
        self.edge = EdgeMiddleware(app, access, ROUTES, max_body=1000, timeout=20, longest=20, drain=self.drain)

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(path)
        await request.body()
        if path == "/slow":
            await self.go.wait()
        if path in ("/stream", "/lines"):
            kind = "text/event-stream" if path == "/stream" else "application/x-ndjson"
            return StreamingResponse(self.parts(), media_type=kind)
        return PlainTextResponse("fine")

    async def parts(self) -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await self.go.wait()
        yield b"data: 2\n\n"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.edge), base_url="http://looksee") as client:
            yield client


def served(scenario: Callable[[Drained, httpx.AsyncClient], Awaitable[None]]) -> None:
    async def main() -> None:
        service = Drained()
        async with service.client() as client:
            await scenario(service, client)

    run(main())


def test_what_was_accepted_is_answered_and_the_end_waits_for_it() -> None:
    async def scenario(service: Drained, client: httpx.AsyncClient) -> None:
        asked = [asyncio.create_task(client.post(path)) for path in ("/slow", "/stream", "/slow")]
        await until(lambda: len(service.asked) == 3)
        ending = asyncio.create_task(service.drain.finish(30))
        await settle()
        assert not ending.done()
        service.go.set()
        assert await ending == 0
        answers = await asyncio.gather(*asked)
        assert [answer.text for answer in answers] == ["fine", "data: 1\n\ndata: 2\n\n", "fine"]
        assert answers[0].headers["connection"] == "close"

    served(scenario)


def test_nothing_more_is_taken_and_readyz_says_so() -> None:
    async def scenario(service: Drained, client: httpx.AsyncClient) -> None:
        assert (await client.get("/readyz")).status_code == 200
        slow = asyncio.create_task(client.post("/slow"))
        await until(lambda: "/slow" in service.asked)
        ending = asyncio.create_task(service.drain.finish(30))
        await settle()
        for path in ("/ask", "/readyz", "/stream"):
            answer = await client.post(path)
            assert error(answer) == (503, "service_stopping", None)
            assert answer.headers["connection"] == "close"
            assert int(answer.headers["retry-after"]) > 0
            assert service.asked.count(path) <= 1
        for path in HEALTH:
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        service.go.set()
        await asyncio.gather(slow, ending)

    served(scenario)


def test_the_body_of_a_refused_request_is_read_so_that_its_answer_arrives() -> None:
    """A connection that is closed with unread bytes is reset, and its caller does not see the answer."""
    read: list[int] = []

    async def scenario(service: Drained, client: httpx.AsyncClient) -> None:
        async def body() -> AsyncIterator[bytes]:
            for number in range(5):
                yield b"x" * 100
                read.append(number)

        await service.drain.finish(0.1)
        assert error(await client.post("/ask", content=body())) == (503, "service_stopping", None)
        assert read == [0, 1, 2, 3, 4]

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 100
                read.append(5)

        assert (await client.post("/ask", content=endless())).status_code == 503
        assert read.count(5) <= 11  # no more than a request may have

    served(scenario)


def test_with_nothing_under_way_it_ends_at_once() -> None:
    async def scenario(service: Drained, client: httpx.AsyncClient) -> None:
        await client.post("/ask")
        async with asyncio.timeout(5):
            assert await service.drain.finish(3600) == 0

    served(scenario)


def test_what_is_left_when_the_time_is_over_is_told_so() -> None:
    """A stream of events ends with one; of other answers that have begun the rest is missing."""

    async def scenario(service: Drained, client: httpx.AsyncClient) -> None:
        asked = [asyncio.create_task(client.post(path)) for path in ("/slow", "/stream")]
        await until(lambda: len(service.asked) == 2)
        began = time.monotonic()
        assert await service.drain.finish(0.1) == 2
        assert time.monotonic() - began >= 0.1
        slow, stream = await asyncio.gather(*asked)
        assert error(slow) == (503, "service_stopping", None)
        assert int(slow.headers["retry-after"]) > 0
        assert stream.text.startswith("data: 1\n\ndata: {")
        assert '"code":"service_stopping"' in stream.text

    served(scenario)


def test_an_upload_that_does_not_end_is_told_too() -> None:
    async def scenario(service: Drained, client: httpx.AsyncClient) -> None:
        async def endless() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.Event().wait()

        upload = asyncio.create_task(client.post("/ask", content=endless()))
        await until(lambda: "/ask" in service.asked)
        assert await service.drain.finish(0.1) == 1
        assert error(await upload) == (503, "service_stopping", None)

    served(scenario)


def test_a_caller_that_leaves_is_not_waited_for() -> None:
    async def scenario(service: Drained, client: httpx.AsyncClient) -> None:
        leaving = asyncio.create_task(client.post("/slow"))
        await until(lambda: "/slow" in service.asked)
        ending = asyncio.create_task(service.drain.finish(3600))
        leaving.cancel()
        async with asyncio.timeout(5):
            assert await ending == 0

    served(scenario)


@pytest.mark.parametrize("before", [True, False])
def test_a_deadline_can_be_shortened_and_is_never_lengthened(before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for own, rest, left in ((50.0, 10.0, 10.0), (5.0, 10.0, 5.0)):
        deadline = Deadline(own)
        if before:
            deadline.start()
        deadline.shorten(rest)
        assert deadline.left() == left


def test_a_batch_whose_time_is_shortened_ends_with_a_line_for_each_item() -> None:
    """The items that are not answered by then say so, and the last line counts them."""
    doors = Doors()
    reached = asyncio.Event()

    async def hang(_: Call) -> None:
        reached.set()
        await asyncio.Event().wait()

    doors.proxies["blip"].before = hang

    async def main() -> None:
        deadline = Deadline(3600)
        token = DEADLINE.set(deadline)
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(doors.app), base_url="http://l") as client:
                body = {"model": "blip", "items": [{"image": PICTURE}, {"image": OTHER}]}
                asking = asyncio.create_task(client.post("/v1/batch", json=body))
                await reached.wait()
                deadline.shorten(0.0)
                answer = await asking
        finally:
            DEADLINE.reset(token)
        *lines, last = answer.text.splitlines()
        assert len(lines) == 2
        assert all('"deadline_exceeded"' in line for line in lines)
        assert last == '{"done":true,"succeeded":0,"failed":2}'

    run(main())
