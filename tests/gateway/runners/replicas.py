"""Several runners of a model without a runner: each answers, dies, or is cut off, as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp.client_reqrep import ConnectionKey

from looksee.core.tasks import Call, Event, Job, Task
from looksee.gateway.runners.client import RunnerClient
from looksee.gateway.runners.replica import Contact
from tests.gateway.proxy import IDENTITY, FakeProxy, Sent, answer_to

_KEY = ConnectionKey("host", 3001, False, True, None, None, None)


def refused() -> Exception:
    """What a call raises at whose address nothing listens."""
    return aiohttp.ClientConnectorError(_KEY, OSError(111, "Connect call failed"))


def job(name: str) -> Job:
    return Job(Task.CAPTION, (name.encode(),))


class Host(FakeProxy):
    """A runner on a host of its own. Jobs that begin with `poison` kill its process, others wait while `held`."""

    def __init__(self) -> None:
        super().__init__(after=self._work, before_status=self._answering)
        self.is_cut_off = self.is_gone = self.is_hung = False
        self.returns = True  # whether a process is started in place of one that was killed
        self.held = False
        self.begun: list[str] = []
        self.told = 0  # pieces of text that a follower gets before the job waits
        self.deaths = 0
        self._let_go = asyncio.Event()
        self._died = asyncio.Event()

    async def reach(self) -> Contact:
        return "none" if self.is_cut_off else "refused" if self.is_gone else "taken"

    def let_go(self) -> None:
        self.held = False
        self._let_go.set()

    def kill(self) -> None:
        """The process dies with all of its calls."""
        self.deaths += 1
        self.is_gone = not self.returns
        died, self._died = self._died, asyncio.Event()
        died.set()

    async def infer(self, *, call: Call) -> AsyncIterator[bytes]:
        if self.is_gone:
            self.calls.append(Sent(call))
            raise refused()
        if self.is_cut_off or self.is_hung:
            self.calls.append(Sent(call))
            await asyncio.Event().wait()
        async for chunk in super().infer(call=call):
            yield chunk

    async def _answering(self) -> None:
        if self.is_gone:
            raise refused()
        if self.is_cut_off or self.is_hung:
            raise TimeoutError

    async def _work(self, call: Call) -> AsyncIterator[Event]:
        died = self._died
        names = [ask.job.images[0].decode() for ask in call.asks]
        self.begun += names
        for number, ask in enumerate(call.asks):
            for _ in range(self.told if ask.followed else 0):
                yield Event(number, "a ")
        for _ in range(3):
            await asyncio.sleep(0)
        if any(name.startswith("poison") for name in names) and not died.is_set():
            self.kill()
        if self.held:
            waits = [asyncio.ensure_future(one.wait()) for one in (died, self._let_go)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
        if died.is_set():
            raise aiohttp.ClientPayloadError("the runner died")
        if self.is_cut_off:
            await asyncio.Event().wait()
        for number, ask in enumerate(call.asks):
            yield Event(number, reply=answer_to(ask.job), identity=IDENTITY)


def client_of(*hosts: FakeProxy, room: int = 99, rows: int = 8) -> RunnerClient:
    """A client of these, whose names are a, b, c. They are watched once something is asked."""
    named: dict[str, Any] = {}
    for name, host in zip("abcdef", hosts, strict=False):
        named[name] = (host, host.reach if isinstance(host, Host) else _reached)
    return RunnerClient.of_several("blip", named, room=room, rows=rows)


async def _reached() -> Contact:
    return "taken"
