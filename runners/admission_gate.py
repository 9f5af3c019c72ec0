"""Who may use a model that is loaded now and then: calls go in while it is open, and wait while it is shut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from looksee.core.tasks import Failure

T = TypeVar("T")


class AdmissionGate(Generic[T]):
    """Counts the calls inside and hands each what it is about. For one event loop.

    `changed` is called when the first call goes in, when the last one leaves, and when one comes that must wait.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.inside = 0
        self.left = 0.0  # when the last call left that was alone inside, in seconds of the monotonic clock
        self._changed = changed
        self._thing: T | None = None
        self._waiting: set[asyncio.Future[T | Failure]] = set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        return self._thing is not None

    async def enter(self, patience: float) -> T:
        """Go in, and `leave` later. Raises TimeoutError after `patience` seconds, and what `refuse` is given."""
        if self._thing is not None:
            self._count(1)
            return self._thing
        place: asyncio.Future[T | Failure] = asyncio.get_running_loop().create_future()
        self._waiting.add(place)
        self._changed()
        try:
            async with asyncio.timeout(patience):
                answer = await place
        except BaseException:
            # It may have been let in in the very moment it gave up or was cancelled.
            if place.done() and not place.cancelled() and not isinstance(place.result(), Failure):
                self.leave()
            raise
        finally:
            self._waiting.discard(place)
        if isinstance(answer, Failure):
            raise answer.error()
        return answer

    def leave(self) -> None:
        self._count(-1)

    def open(self, thing: T) -> None:
        """Let all in who wait. They are inside when this returns."""
        self._thing = thing
        for place in self._called():
            place.set_result(thing)
            self._count(1)

    def shut(self) -> None:
        """From now on calls wait. Those inside stay until they leave."""
        self._thing = None

    def refuse(self, failure: Failure) -> None:
        """Send all away who wait."""
        for place in self._called():
            place.set_result(failure)

    def _called(self) -> list[asyncio.Future[T | Failure]]:
        places = [place for place in self._waiting if not place.done()]
        self._waiting.clear()
        return places

    def _count(self, by: int) -> None:
        was, self.inside = self.inside, self.inside + by
        if not self.inside:
            self.left = time.monotonic()
        if not was or not self.inside:
            self._changed()
