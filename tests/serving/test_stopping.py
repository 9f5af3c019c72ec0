"""The order in which processes end, and what the first and the second signal do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from tornado import gen

from looksee.http.edge.drain import Drain
from looksee.serving import stopping
from tests.support.loops import run, settle, until


class WatchedProcesses:
    """A watcher that notes when its processes end; they do once `ends` is set."""

    def __init__(self, name: str, events: list[str]) -> None:
        self.name, self.events = name, events
        self.graceful_timeout = 86400.0
        self.ends = asyncio.Event()
        self.processes: dict[int, Any] = {}

    @gen.coroutine
    def _stop(self, close_output_streams: bool) -> Any:
        self.events.append(f"{self.name} is told")
        yield self.ends.wait()
        self.events.append(f"{self.name} ended")


class Supervising:
    """The part of a supervisor that is used."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.watchers = [WatchedProcesses(name, self.events) for name in ("service_Blip", "service", "service_Gemma")]
        self.exit_stack = contextlib.ExitStack()
        self.exit_stack.callback(self.events.append, "sockets removed")
        self._stopping = False

    def iter_watchers(self, reverse: bool = True) -> list[WatchedProcesses]:
        return self.watchers


def test_the_gateway_ends_first_and_the_sockets_go_last() -> None:
    async def main() -> None:
        one = stopping._in_order(Supervising, 7.0)()
        blip, gateway, gemma = one.watchers
        ending = asyncio.ensure_future(one._stop_watchers())
        await settle()
        assert one.events == ["service is told"]
        gateway.ends.set()
        await settle()
        assert one.events[1:] == ["service ended", "service_Blip is told", "service_Gemma is told"]
        gemma.ends.set()
        blip.ends.set()
        await ending
        assert sorted(one.events[4:6]) == ["service_Blip ended", "service_Gemma ended"]
        assert one.events[6:] == ["sockets removed"]
        # Whoever does not end is killed.
        assert gateway.graceful_timeout == 7.0 + stopping._SPARE
        assert blip.graceful_timeout == gemma.graceful_timeout == stopping._SPARE

    run(main())


def test_the_second_time_all_processes_are_killed() -> None:
    one = stopping._in_order(Supervising, 7.0)()
    processes = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(3)]
    for watcher, process in zip(one.watchers, processes, strict=True):
        watcher.processes[process.pid] = process
    one._stopping = True
    assert one.stop() is None
    assert [process.wait(30) for process in processes] == [-signal.SIGKILL] * 3
    assert one.stop() is None  # nobody is left


@pytest.fixture
def server() -> Iterator[uvicorn.Server]:
    """A server that is told of signals, as uvicorn's are while they serve."""
    made = uvicorn.Server(uvicorn.Config("nothing:at_all"))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, made.handle_exit)
    try:
        yield made
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains_and_then_stops_the_server(number: int, server: uvicorn.Server) -> None:
    async def main() -> None:
        drain, held = Drain(), HeldRequest()
        stopping.drain_on_signals(drain, 60.0)
        with drain.holding(held):  # type: ignore[arg-type]
            os.kill(os.getpid(), number)
            await until(lambda: drain.begun)
            await asyncio.sleep(0.05)
            assert not server.should_exit
            assert held.hurried
        await until(lambda: server.should_exit)
        assert not server.force_exit

    run(main())


def test_the_second_signal_waits_for_nothing(server: uvicorn.Server) -> None:
    async def main() -> None:
        drain = Drain()
        stopping.drain_on_signals(drain, 60.0)
        with drain.holding(HeldRequest()):  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: drain.begun)
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: server.force_exit and server.should_exit)

    run(main())


def test_without_a_server_signals_are_left_alone() -> None:
    async def main() -> None:
        before = signal.getsignal(signal.SIGTERM)
        stopping.drain_on_signals(Drain(), 1.0)
        assert signal.getsignal(signal.SIGTERM) is before

    run(main())


class HeldRequest:
    """A request that is not answered."""

    hurried = False

    def hurry(self, seconds: float) -> None:
        self.hurried = True
