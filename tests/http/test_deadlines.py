"""Deadlines of callers: said in a header, counted from the body's arrival, and heard by whoever is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from looksee.core import errors
from looksee.gateway.answering import AnsweringService
from looksee.http.app import ROUTES
from looksee.http.context import ContextFactory
from looksee.http.disconnect import never_disconnected
from looksee.http.edge import middleware
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from looksee.http.request_info import DEADLINE, Deadline, deadline_from
from looksee.settings import Settings
from tests.gateway.memory_cache import Shelf
from tests.http.app import Doors, error
from tests.support.files import plain
from tests.support.loops import run


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, 60), ("1", 1), ("0.25", 0.25), (".5", 0.5), ("2.", 2), ("60", 60), ("999999", 60)]
)
def test_a_caller_may_have_less_time_but_not_more(header: str | None, seconds: float) -> None:
    assert deadline_from(header, 60).seconds == seconds


@pytest.mark.parametrize(
    "header",
    ["", "0", "0.0", "-1", "+1", "1e3", "inf", "nan", "1_0", " 1", "1s", "\u0661", "0x1", "9" * 400, ".", "1,5"],
)
def test_what_is_no_positive_number_is_refused(header: str) -> None:
    with pytest.raises(errors.InvalidValue) as refused:
        deadline_from(header, 60)
    assert refused.value.param == "X-Request-Timeout"


def test_it_runs_from_its_start_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    deadline = Deadline(5)
    now[0] = 200.0
    deadline.start()
    now[0] = 203.0
    deadline.start()
    assert deadline.left() == 2
    now[0] = 206.0
    assert deadline.left() == -1


def behind(
    handler: Callable[[Request], Any],
    *,
    timeout: float = 5,
    longest: float = 30,
    body: list[Any] | None = None,
    timeouts: Mapping[str, float] = {},
) -> Callable[..., httpx.Response]:
    """Requests to a handler behind the door. Of `body` a number is a pause in the upload, in seconds."""
    app = Starlette(routes=[Route("/ask", handler, methods=["GET", "POST"])])
    door = EdgeMiddleware(
        app,
        AccessControl(ApiKeys([]), ApiKeys([])),
        ROUTES,
        max_body=1000,
        timeout=timeout,
        longest=longest,
        timeouts=timeouts,
    )

    async def parts() -> Any:
        for part in body or [b"x"]:
            if isinstance(part, bytes):
                yield part
            else:
                await asyncio.sleep(part)

    async def main(**headers: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://looksee") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.post("/ask", content=parts(), headers=named)

    return lambda **headers: run(main(**headers))


def time_left() -> float:
    """Of a context that is made now, with 77 seconds where no edge has set a deadline."""
    gateway = AnsweringService({}, Shelf())
    settings = Settings.model_construct(request_timeout_seconds=77)
    return ContextFactory(gateway, settings).of(never_disconnected).time_left()


async def says_its_time(request: Request) -> Response:
    await request.body()
    return PlainTextResponse(str(time_left()))


def test_a_handler_knows_what_is_left_and_a_slow_upload_takes_nothing_of_it() -> None:
    slow = [b"x", 0.3, b"y"]
    assert 0 < float(behind(says_its_time, body=slow)(X_Request_Timeout="0.2").text) <= 0.2
    assert 4 < float(behind(says_its_time, body=slow)().text) <= 5
    assert 4 < float(behind(says_its_time)(X_Request_Timeout="50").text) <= 5


def test_what_is_done_before_a_model_is_asked_takes_its_time() -> None:
    async def looks_first(request: Request) -> Response:
        await request.body()
        await asyncio.sleep(0.1)
        return await says_its_time(request)

    assert float(behind(looks_first)(X_Request_Timeout="0.1").text) <= 0


def test_a_bad_one_is_refused_before_the_body_is_read() -> None:
    async def never(_: Request) -> Response:
        raise AssertionError

    assert error(behind(never)(X_Request_Timeout="soon")) == (422, "invalid_value", "X-Request-Timeout")


def test_nothing_of_it_stays() -> None:
    behind(says_its_time)(X_Request_Timeout="1")
    assert DEADLINE.get() is None
    assert time_left() == 77


def test_who_does_not_keep_it_is_stopped_by_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_GRACE", 0.05)
    stopped = []

    async def hangs(request: Request) -> Response:
        await request.body()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(True)
            raise
        raise AssertionError

    assert error(behind(hangs)(X_Request_Timeout="0.05"))[:2] == (504, "deadline_exceeded")
    assert error(behind(hangs, timeout=0.05)())[:2] == (504, "deadline_exceeded")
    assert stopped == [True, True]


def test_it_stands_still_at_the_door_while_weights_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_GRACE", 0.05)

    async def loads(request: Request) -> Response:
        await request.body()
        deadline = DEADLINE.get()
        assert deadline is not None
        deadline.hold(0.5)
        await asyncio.sleep(0.3)
        if "forever" in request.headers:
            await asyncio.Event().wait()
        deadline.go_on()
        return await says_its_time(request)

    assert 0 < float(behind(loads, timeout=0.1, longest=0.2)().text) <= 0.1
    assert error(behind(loads, timeout=0.1, longest=0.2)(forever="1"))[:2] == (504, "deadline_exceeded")


def test_a_path_may_have_a_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_GRACE", 0.05)

    async def slowly(request: Request) -> Response:
        await request.body()
        await asyncio.sleep(0.3)
        return await says_its_time(request)

    assert error(behind(slowly, timeout=0.05, longest=0.1)())[:2] == (504, "deadline_exceeded")
    answer = behind(slowly, timeout=0.05, longest=0.1, timeouts={"/ask": 50})()
    assert 40 < float(answer.text) <= 50
    assert error(behind(slowly, timeout=50, longest=60, timeouts={"/ask": 0.05})())[:2] == (504, "deadline_exceeded")


def test_an_upload_that_never_ends_is_stopped_all_the_same() -> None:
    forever = [b"x", 0.05] * 100
    answer = behind(says_its_time, longest=0.2, body=forever)(X_Request_Timeout="60")
    assert error(answer)[:2] == (504, "deadline_exceeded")


def test_every_door_hands_it_to_the_desk() -> None:
    """Through the app as it is: what reaches the runner is what the caller asked for."""
    doors = Doors(request_timeout_seconds=60)
    door = EdgeMiddleware(
        doors.app, AccessControl(ApiKeys([]), ApiKeys([])), ROUTES, max_body=10**6, timeout=60, longest=80
    )

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://looksee") as client:
            for path, model in (("/api/caption-images", "blip"), ("/api/caption-collective-images", "gemma")):
                answer = await client.post(
                    path, files={"images": plain()}, headers={"X-Request-Timeout": "7.5", "X-Request-ID": "mine"}
                )
                assert answer.status_code == 200, answer.text
                (sent,) = doors.proxies[model].calls
                assert 0 < sent.timeout <= 7.5
                assert sent.request_id == "mine"

    run(main())


@pytest.mark.parametrize(("headers", "apart"), [({}, True), ({"X-Request-Timeout": "7.5"}, False)])
def test_a_load_counts_where_the_caller_has_said_the_time(headers: dict[str, str], apart: bool) -> None:
    doors = Doors(request_timeout_seconds=60)
    door = EdgeMiddleware(
        doors.app, AccessControl(ApiKeys([]), ApiKeys([])), ROUTES, max_body=10**6, timeout=60, longest=80
    )

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://looksee") as client:
            files = {"images": plain()}
            assert (await client.post("/api/caption-images", files=files, headers=headers)).status_code == 200
            (sent,) = doors.proxies["blip"].calls
            assert sent.call.asks[0].waits_apart is apart

    run(main())
