"""The gateway's client of a runner: orders, and whose answers it gives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import aiohttp
import pytest
from bentoml.exceptions import BentoMLException

from looksee.core import errors
from looksee.core.tasks import Failure, Identity, Job, Reply, Status, Task
from looksee.gateway.runners import client as runner_client
from looksee.gateway.runners import replica
from looksee.gateway.runners.client import RunnerClient
from tests.gateway.proxy import IDENTITY, NEWER, FakeProxy, answer_to
from tests.support.loops import run, settle

JOBS = [Job(Task.CAPTION, (b"one",)), Job(Task.CAPTION, (b"two",))]
LOST: list[Callable[[], Exception]] = [
    aiohttp.ServerDisconnectedError,
    lambda: aiohttp.ClientConnectionError("closed"),
    lambda: aiohttp.ClientOSError(104, "Connection reset by peer"),
]


# --- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["load", "unload"])
def test_orders_are_passed_on_and_tried_once_more(order: str) -> None:
    async def main() -> None:
        proxy = FakeProxy(troubles=[LOST[0]()])
        client = RunnerClient("blip", proxy)
        status = await (client.load(timeout=5) if order == "load" else client.unload(timeout=5))
        assert status == Status(IDENTITY, "ready" if order == "load" else "unloaded", "cpu")
        assert proxy.orders == [order] * 2
        proxy.troubles = [LOST[0](), LOST[0]()]
        with pytest.raises(errors.RunnerFailed):
            await (client.load(timeout=5) if order == "load" else client.unload(timeout=5))

    run(main())


@pytest.mark.parametrize("order", ["load", "unload"])
def test_what_a_runner_refuses_is_its_error(order: str) -> None:
    async def main() -> None:
        proxy = FakeProxy()
        proxy.refusal = Failure("model_not_ready", "'blip' is at work.", retry_after=5)
        client = RunnerClient("blip", proxy)
        with pytest.raises(errors.ModelNotReady, match="at work") as caught:
            await (client.load(timeout=5) if order == "load" else client.unload(timeout=5))
        assert caught.value.retry_after == 5
        assert proxy.orders == [order]

    run(main())


# --- whose answers they are ------------------------------------------------------------------------------------------


def test_the_identity_is_asked_for_once() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        client = RunnerClient("blip", proxy)
        assert [await client.identity() for _ in range(3)] == [IDENTITY] * 3
        assert proxy.asked == 1

    run(main())


@pytest.mark.parametrize(
    "trouble",
    [TimeoutError(), aiohttp.ServerDisconnectedError(), aiohttp.ClientConnectionError(), BentoMLException("no")],
)
def test_a_runner_that_does_not_answer_has_no_identity_yet(trouble: Exception) -> None:
    async def main() -> None:
        proxy = FakeProxy(status_troubles=[trouble])
        client = RunnerClient("blip", proxy)
        assert await client.identity() is None
        assert await client.identity() == IDENTITY

    run(main())


def test_a_runner_that_hangs_has_no_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "_STATUS_TIMEOUT", 0.02)

    async def main() -> None:
        async def hang() -> None:
            await asyncio.Event().wait()

        client = RunnerClient("blip", FakeProxy(before_status=hang))
        assert await client.status() is None
        assert await client.identity() is None

    run(main())


def test_the_status_is_the_runners() -> None:
    async def main() -> None:
        assert await RunnerClient("blip", FakeProxy()).status() == Status(IDENTITY, "ready", "cpu")

    run(main())


def test_an_unknown_fingerprint_is_asked_for_again() -> None:
    async def main() -> None:
        proxy = FakeProxy(identity=replace(IDENTITY, fingerprint=None))
        client = RunnerClient("blip", proxy)
        assert (await client.identity() or NEWER).fingerprint is None
        proxy.identity = IDENTITY
        assert await client.identity() == IDENTITY
        assert proxy.asked == 2

    run(main())


def test_an_answer_tells_the_identity_too() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        client = RunnerClient("blip", proxy)
        assert await client.identity() == IDENTITY
        proxy.identity = NEWER
        assert await client.identity() == IDENTITY  # not asked yet
        await client.ask(JOBS[0], timeout=5, request_id="")
        assert await client.identity() == NEWER

    run(main())


def test_an_old_identity_is_asked_for_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_client, "_IDENTITY_FRESH", 0.01)

    async def main() -> None:
        held = asyncio.Event()

        async def hold() -> None:
            await held.wait()

        proxy = FakeProxy()
        client = RunnerClient("blip", proxy)
        assert await client.identity() == IDENTITY
        proxy.identity, proxy.before_status = NEWER, hold
        await asyncio.sleep(0.02)
        async with asyncio.timeout(10):  # nobody waits for it
            assert [await client.identity() for _ in range(3)] == [IDENTITY] * 3
        await settle()
        assert proxy.asked == 2  # and it is asked once
        held.set()
        await settle()
        assert await client.identity() == NEWER

    run(main())


def test_the_last_known_identity_outlives_a_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_client, "_IDENTITY_FRESH", -1.0)

    async def main() -> None:
        proxy = FakeProxy()
        client = RunnerClient("blip", proxy)
        await client.identity()
        proxy.status_troubles = [aiohttp.ClientConnectionError() for _ in range(20)]
        for _ in range(5):
            assert await client.identity() == IDENTITY
            await settle()
        assert proxy.asked > 3

    run(main())


@pytest.mark.parametrize("ask", ["status", "identity", "ask"])
def test_any_other_trouble_of_the_connection_is_the_runners_too(ask: str) -> None:
    async def main() -> None:
        trouble = ConnectionResetError("Cannot write to closing transport")
        client = RunnerClient("blip", FakeProxy(troubles=[trouble] * 4, status_troubles=[trouble]))
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "status": client.status,
            "identity": client.identity,
            "ask": lambda: client.ask(JOBS[0], timeout=5, request_id=""),
        }
        if ask == "ask":
            with pytest.raises(errors.RunnerFailed):
                await asks[ask]()
        else:
            assert await asks[ask]() is None

    run(main())


def test_these_fakes_tell_runners_apart() -> None:
    assert IDENTITY != NEWER
    assert isinstance(IDENTITY, Identity)
    assert isinstance(answer_to(JOBS[0]), Reply)
    assert answer_to(JOBS[0]) != answer_to(JOBS[1])
