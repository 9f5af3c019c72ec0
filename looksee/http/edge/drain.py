"""Stopping without losing what was accepted: nothing more is taken from the first signal on, and the rest answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from looksee.core import errors
from looksee.http.edge.exchange import Exchange
from looksee.http.request_info import Deadline

# What says how the service is doing is asked for while it stops, too; /readyz is refused as all else is.
_STILL_ANSWERED = frozenset({"/healthz", "/livez", "/health", "/metrics"})
_RETRY_AFTER = 5  # seconds: a service that is started again takes longer, another one behind a balancer is there
_SPARE = 2.0  # seconds before the end in which what ends by itself once its time is over, as a batch, does so
_LAST = 1.0  # seconds that those who are told at the end may take to be told
CLOSING = {"Connection": "close"}  # so that the next request goes over a new connection, to another service


@dataclass(eq=False, slots=True)
class Unfinished:
    """A request that is being answered; `error` is set where it is to be answered with that, whatever it was about."""

    exchange: Exchange
    deadline: Deadline
    clock: asyncio.Timeout
    error: errors.LookseeError | None = None

    def hurry(self, seconds: float) -> None:
        """Let it have no more than `seconds`, and its connection nothing after it."""
        self.deadline.shorten(seconds)
        self.exchange.headers |= CLOSING

    def stop(self, error: errors.LookseeError) -> None:
        """Answer it with `error`, now."""
        if not self.clock.expired():
            self.error, self.exchange.arrived = error, None
            self.clock.reschedule(0)


def stopping() -> errors.LookseeError:
    """The error of a service that takes no more requests."""
    return errors.ServiceStopping("The service is being stopped; try again.", retry_after=_RETRY_AFTER)


class Drain:
    """Whether this gateway is being stopped, and what it has not answered yet. For one event loop."""

    def __init__(self) -> None:
        self.begun = False
        self._unfinished: set[Unfinished] = set()
        self._changed = asyncio.Event()

    def check(self, path: str) -> None:
        """Raise ServiceStopping for a request that is not taken any more."""
        if self.begun and path not in _STILL_ANSWERED:
            raise stopping()

    @contextmanager
    def holding(self, request: Unfinished) -> Iterator[None]:
        """Count the request among those that the end waits for."""
        self._unfinished.add(request)
        try:
            yield
        finally:
            self._unfinished.discard(request)
            self._changed.set()

    async def finish(self, seconds: float) -> int:
        """Take nothing more, and return once all is answered; after `seconds` what is left is told to come again.

        Returns how many were told so.
        """
        self.begun = True
        for request in self._unfinished:
            request.hurry(max(seconds / 2, seconds - _SPARE))
        if await self._emptied(seconds):
            return 0
        left = list(self._unfinished)
        for request in left:
            request.stop(stopping())
        await self._emptied(_LAST)
        return len(left)

    async def _emptied(self, seconds: float) -> bool:
        """Whether nothing is unfinished within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._unfinished:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True
