"""What a gateway sends to a runner on another host, and how it tells that there is none."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from bentoml.exceptions import BentoMLException

from looksee.core.tasks import Ask, Call, Job, Task
from looksee.gateway.runners.replica import contact
from looksee.serving.remote_runners import remote
from runners.services import runner_services
from tests.support.loops import run
from tests.support.serving import free_port

KEY = "runn3r"


class Listening:
    """Something at the address of a runner: it answers with `status`, and has the requests that came."""

    def __init__(self) -> None:
        self.status = 200
        self.came: list[tuple[str, Any, Any]] = []  # path, headers, body

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.came.append((request.path, request.headers, await request.json()))
        return web.Response(status=self.status, text="\n")

    @asynccontextmanager
    async def at(self, port: int) -> AsyncIterator[str]:
        server = web.ServerRunner(web.Server(self))
        await server.setup()
        await web.TCPSite(server, "127.0.0.1", port).start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await server.cleanup()


async def sent(key: str, *, status: int = 200) -> tuple[str, Any, Any]:
    """A call as it came."""
    there = Listening()
    there.status = status
    async with there.at(free_port()) as url:
        runner, reach = remote(runner_services()["blip"], url, key)
        assert await reach() == "taken"
        call = Call("c", [Ask(Job(Task.CAPTION, (b"\xff\x00picture",)), 5.0)])
        try:
            assert [chunk async for chunk in runner.to_async.infer(call=call)] == [b"\n"]
        finally:
            await runner.close()
    (came,) = there.came
    return came


def test_a_call_is_json_with_the_key() -> None:
    path, headers, body = run(sent(KEY))
    assert path == "/infer"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert body["call"]["asks"][0]["job"]["images"] == ["_wBwaWN0dXJl"]


def test_without_a_key_none_is_sent() -> None:
    assert "Authorization" not in run(sent(""))[1]


def test_what_a_runner_refuses_has_its_status_and_no_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(BentoMLException) as caught:
        run(sent(KEY, status=401))
    assert caught.value.error_code == 401
    assert KEY not in repr(caught.value) + caplog.text


def test_an_address_without_a_server_refuses() -> None:
    async def main() -> None:
        runner, reach = remote(runner_services()["blip"], f"http://127.0.0.1:{free_port()}", KEY)
        assert await reach() == "refused"
        with pytest.raises(aiohttp.ClientConnectorError):
            await runner.to_async.status()
        await runner.close()

    run(main())


def test_a_name_that_cannot_be_looked_up_says_nothing_of_its_host() -> None:
    assert run(contact("nowhere.invalid", 80)) == "refused"


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, None])
def test_a_host_without_a_way_to_it_says_nothing(code: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: Any) -> Any:
        if code is None:
            await asyncio.Event().wait()
        raise OSError(code, "no way")

    monkeypatch.setattr(asyncio, "open_connection", connect)
    assert run(contact("10.0.0.1", 80, 0.01)) == "none"


def test_a_server_that_does_not_answer_takes_connections() -> None:
    """Its supervisor holds the port, as while a process starts again."""

    with socket.create_server(("127.0.0.1", 0)) as held:
        assert run(contact("127.0.0.1", held.getsockname()[1])) == "taken"


def test_connections_are_closed_before_a_runner_closes_them() -> None:
    """It does after five seconds; a request on its way at that moment is lost."""

    async def main() -> None:
        runner, _ = remote(runner_services()["blip"], "http://127.0.0.1:9", KEY)
        session = await runner.to_async._session_manager.get_session()
        assert session.connector._keepalive_timeout < 5
        assert session.timeout.sock_connect < 5
        assert not runner.to_async._session_manager._should_refresh()
        await runner.close()

    run(main())
