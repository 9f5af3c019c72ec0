"""The end of a process whose device is broken or whose work stands still: its supervisor starts another one.

Nothing is cleaned up. A broken device answers no call, a hanging thread cannot be ended, and whatever waited for either
would keep the process, and with it the memory of the device, for ever. The system takes everything back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from looksee.core.tasks import Failure, Reply
from runners.capacity import Lease
from runners.guarding.watched_model import broken

logger = logging.getLogger("looksee.runner")

EXIT_STATUS = 70  # EX_SOFTWARE
_LAST_SECONDS = 0.5  # in which the calls get their answers


class Ending:
    """Ends this process once `begin` is called. `failure` is None until then, and what all calls get from then on."""

    def __init__(self, name: str, on_begin: Callable[[], None]) -> None:
        """`on_begin` is called on the event loop of `attend`."""
        self.name = name
        self.failure: Failure | None = None
        self._on_begin = on_begin
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lease: Lease | None = None
        self._answering: set[asyncio.Task[Any]] = set()
        self._lock = threading.Lock()

    def attend(self, lease: Lease) -> None:
        """Have this lease released at the end. On the event loop."""
        self._loop, self._lease = asyncio.get_running_loop(), lease

    async def answer(self, work: Awaitable[Reply]) -> Reply:
        """The reply of `work`, or the failure as soon as there is one. In a task of its own."""
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            if self.failure is None:
                raise
            task.uncancel()
            return Reply(failure=self.failure)
        finally:
            self._answering.discard(task)

    def begin(self, what: str, error: Exception | None = None) -> None:
        """Log why, answer the calls, release the lease, and end the process in a moment. Any thread; does not block.

        Only the first call has an effect.
        """
        with self._lock:
            if self.failure is not None:
                return
            self.failure = Failure.of(broken(self.name))
        try:
            logger.critical("the process of %s ends: %s", self.name, what, exc_info=error)
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for an answer
                    self._loop.call_soon_threadsafe(self._answer_all)
            if self._lease is not None:
                self._lease.release()  # the system does it too, but a driver may keep the process from ending
        finally:
            try:
                last = threading.Timer(_LAST_SECONDS, end_process)
                last.daemon = True
                last.start()
            except RuntimeError:  # no thread can be started
                end_process()

    def _answer_all(self) -> None:
        for task in self._answering:
            task.cancel()
        self._on_begin()


def end_process() -> None:
    """End this process, whatever its threads are at."""
    os._exit(EXIT_STATUS)


def stop_process() -> None:
    """End this process as its supervisor does, which starts it again: its libraries cannot be loaded any more."""
    logger.warning("this process ends: it cannot load its libraries any more")
    os.kill(os.getpid(), signal.SIGTERM)
