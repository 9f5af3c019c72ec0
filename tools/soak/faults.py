"""What goes wrong during a run: processes are killed, or stopped and go on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence

import psutil

from tools.soak.server import GATEWAY, Server

_STOPPED = 2.0  # seconds
_DOWN = 3.0  # seconds until Redis is started again


class Faults:
    """One fault after another, until cancelled. Everything runs again when it is.

    Only `victim` is killed, so that what the other processes hold can be compared over the whole run.
    """

    def __init__(self, server: Server, models: Sequence[str], victim: str) -> None:
        self._server, self._models, self._victim = server, models, victim
        self.done: Counter[str] = Counter()
        self.log: list[tuple[float, str]] = []

    async def go_on(self, gap: float) -> None:
        """A fault every `gap` seconds."""
        others = [name for name in self._models if name != self._victim]
        rounds = 0
        try:
            while True:
                for kind in ("kill runner", "kill redis", "stop runner", "stop redis", "stop gateway"):
                    await asyncio.sleep(gap)
                    self.done[kind] += 1
                    self.log.append((time.monotonic(), kind))
                    await self._happen(kind, others[rounds % len(others)] if others else self._victim)
                rounds += 1
        finally:
            self._mend()

    async def _happen(self, kind: str, other: str) -> None:
        roles = self._server.roles()
        match kind:
            case "kill runner":
                with contextlib.suppress(KeyError, psutil.NoSuchProcess):
                    roles[self._victim].kill()
            case "kill redis":
                self._server.redis.kill()
                await asyncio.sleep(_DOWN)
                self._server.redis.start()
            case _:
                name = {"stop redis": "redis", "stop gateway": GATEWAY}.get(kind, other)
                with contextlib.suppress(KeyError, psutil.NoSuchProcess):
                    roles[name].suspend()
                await asyncio.sleep(_STOPPED)
                with contextlib.suppress(KeyError, psutil.NoSuchProcess):
                    roles[name].resume()

    def _mend(self) -> None:
        for process in self._server.roles().values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        if self._server.redis.process is None:
            self._server.redis.start()
