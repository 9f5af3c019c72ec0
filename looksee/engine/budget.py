"""The batch budget: the bytes that a running batch may hold. It is lowered when memory runs out, and recovers."""

from __future__ import annotations

import time
from collections.abc import Callable

_SECONDS_TO_RISE = 10.0  # of running without a shortage, after which a lowered budget rises once
_RISE, _LEAST_RISE = 4, 32  # it rises by a fourth of itself, at least by a 32nd of the limit


class BatchBudget:
    """`limit` is the configured budget, `current` the one in force: 1 <= `current` <= `limit`. Both in bytes.

    From nearly nothing it is back at the limit after some two and a half minutes: a shortage that was somebody else's
    is over by then, and where the limit is too high a shortage in ten seconds at most costs little. For the device
    thread alone.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = self.current = limit
        self._clock = clock
        self._changed = 0.0

    def lower(self, nbytes: int) -> None:
        """Set the budget to at most `nbytes`, and below its present value."""
        self.current = max(1, min(nbytes, self.current - 1))
        self._changed = self._clock()

    def recover(self) -> bool:
        """After a successful step: raise a lowered budget if it is time. Returns whether it changed."""
        if self.current == self.limit or self._clock() < self._changed + _SECONDS_TO_RISE:
            return False
        rise = max(self.current // _RISE, self.limit // _LEAST_RISE, 1)
        self.current = min(self.limit, self.current + rise)
        self._changed = self._clock()
        return True
