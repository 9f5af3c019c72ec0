"""How the processes end: the gateway first, once it has answered what it accepted, and then the models' runners.

BentoML 1.4.39 signals all of them at once and lets each take a day. A runner then refuses what the gateway has yet to
send it, and the folder of their sockets is removed at the first signal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import uvicorn
from bentoml._internal.utils import circus
from circus.arbiter import Arbiter as CircusArbiter  # type: ignore[import-untyped]
from tornado import gen

from looksee.http.edge.drain import Drain

logger = logging.getLogger("looksee.serving")

_SPARE = 10.0  # seconds beyond its time after which a process is killed
_GATEWAY = "service"  # the watcher of the service that was asked for; those of its runners have longer names


def drain_on_signals(drain: Drain, seconds: float) -> None:
    """Have the first SIGTERM or SIGINT begin the drain, and uvicorn stop after it; the second one ends at once.

    Does nothing where no uvicorn waits for signals. Call it on the server's event loop, in the main thread.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(server, uvicorn.Server):
        return
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []

    async def finish(number: int) -> None:
        left = await drain.finish(seconds)
        if left:
            logger.warning("%d requests were not answered within %g s and were told to come again", left, seconds)
        server.handle_exit(number, None)
        # Whoever does not read its answer would be waited for without an end.
        await asyncio.sleep(_SPARE / 2)
        server.force_exit = True

    def begin(number: int) -> None:
        tasks.append(loop.create_task(finish(number)))

    def stop(number: int, frame: FrameType | None) -> None:
        if drain.begun:
            server.force_exit = True
            server.handle_exit(number, frame)
        else:
            drain.begun = True
            loop.call_soon_threadsafe(begin, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def stop_in_order(seconds: float) -> None:
    """Patch BentoML's supervisor: the gateway ends first and may take `seconds`; a second signal kills all processes.

    Takes effect in the supervising process, which makes its arbiter after it has imported the service.
    """
    circus.Arbiter = _in_order(circus.Arbiter, seconds)  # type: ignore[misc]


def _in_order(base: type[Any], seconds: float) -> type[Any]:
    class OrderlyArbiter(base):
        def stop(self) -> Any:
            if self._stopping:
                _kill(self.iter_watchers())
                return None
            # Without circus' lock: while it starts a process again it would refuse to stop, and the signal be lost.
            whole: Callable[[Any], Any] = CircusArbiter.stop.__wrapped__
            return whole(self)

        @gen.coroutine
        def _stop_watchers(self, close_output_streams: bool = False, watcher_iter_func: Any = None) -> Any:
            watchers = list((watcher_iter_func or self.iter_watchers)(reverse=False))
            asked = [one for one in watchers if one.name == _GATEWAY]
            for some, time in ((asked, seconds), ([one for one in watchers if one not in asked], 0.0)):
                for one in some:
                    one.graceful_timeout = time + _SPARE
                yield gen.multi([one._stop(close_output_streams) for one in some])
            self.exit_stack.close()

    return OrderlyArbiter


def _kill(watchers: Iterable[Any]) -> None:
    """End the processes of all watchers at once; each is waited for as before."""
    for watcher in watchers:
        for process in list(watcher.processes.values()):
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
