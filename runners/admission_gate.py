"""Admission of calls to a model that is not always loaded: open, calls are admitted; closed, they wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from looksee.core.tasks import Failure

T = TypeVar("T")


class AdmissionGate(Generic[T]):
    """Counts active calls and gives each the value that the gate was opened with. For one event loop.

    `on_change` is called when the first call becomes active, when the last active one leaves, and when a call begins to
    wait.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.active = 0
        self.idle_since = 0.0  # when the number of active calls last became 0; monotonic seconds, 0.0 for never
        self._on_change = on_change
        self._value: T | None = None
        self._waiters: set[asyncio.Future[T | Failure]] = set()

    @property
    def waiting(self) -> int:
        """How many calls wait for the gate to open."""
        return len(self._waiters)

    @property
    def is_open(self) -> bool:
        return self._value is not None

    async def enter(self, timeout: float) -> T:
        """The gate's value, for a call that is active from now until it calls `leave`.

        Waits while the gate is closed. Raises TimeoutError after `timeout` seconds, and the error of a `reject`.
        """
        if self._value is not None:
            self._count(1)
            return self._value
        waiter: asyncio.Future[T | Failure] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        self._on_change()
        try:
            async with asyncio.timeout(timeout):
                result = await waiter
        except BaseException:
            # `open` may have counted it as active just before it timed out or was cancelled.
            if waiter.done() and not waiter.cancelled() and not isinstance(waiter.result(), Failure):
                self.leave()
            raise
        finally:
            self._waiters.discard(waiter)
        if isinstance(result, Failure):
            raise result.error()
        return result

    def leave(self) -> None:
        """End an active call. Once for each `enter` that returned."""
        self._count(-1)

    def open(self, value: T) -> None:
        """Admit all waiting calls and those to come. The waiting ones are active when this returns."""
        self._value = value
        for waiter in self._pop_waiters():
            waiter.set_result(value)
            self._count(1)

    def close(self) -> None:
        """Let further calls wait. Active calls stay active."""
        self._value = None

    def reject(self, failure: Failure) -> None:
        """End all waiting calls with this failure."""
        for waiter in self._pop_waiters():
            waiter.set_result(failure)

    def _pop_waiters(self) -> list[asyncio.Future[T | Failure]]:
        waiters = [waiter for waiter in self._waiters if not waiter.done()]
        self._waiters.clear()
        return waiters

    def _count(self, change: int) -> None:
        before, self.active = self.active, self.active + change
        if not self.active:
            self.idle_since = time.monotonic()
        if not before or not self.active:
            self._on_change()
