"""A circuit breaker: after a few failures in a row a dependency is left alone for a while, then tried by one call."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Open (closed to calls) after `failures` in a row; each further failure doubles the rest, up to `longest` seconds.

    For one event loop; not thread-safe.
    """

    def __init__(
        self,
        *,
        failures: int = 3,
        rest: float = 1.0,
        longest: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._first_rest, self._longest, self._clock = failures, rest, longest, clock
        self._failures = 0
        self._rest = rest
        self._until = 0.0
        self._trying = False

    @property
    def tripped(self) -> bool:
        """Whether the last calls failed."""
        return self._failures >= self._limit

    def allow(self) -> bool:
        """Whether a call may be made now. After a rest one call is let through; the others wait for its outcome."""
        if not self.tripped:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + self._rest
        self._trying = True
        return True

    def succeeded(self) -> None:
        self._failures, self._rest, self._trying = 0, self._first_rest, False

    def failed(self) -> None:
        if self.tripped and not self._trying:
            return  # a call that was under way when the last ones failed tells nothing new
        self._trying = False
        self._failures += 1
        if self.tripped:
            self._until = self._clock() + self._rest
            self._rest = min(2 * self._rest, self._longest)
