"""A circuit breaker: after a few failures in a row no calls are made for a while, then one call tries again."""

from __future__ import annotations

import time
from collections.abc import Callable


class CircuitBreaker:
    """Closed (calls are made), open (none is) after `failures` in a row, half open (one is) after each cooldown.

    The cooldown begins with `cooldown` seconds and doubles with each failed trial, up to `max_cooldown`. `clock` gives
    monotonic seconds. For one event loop; not thread-safe.
    """

    def __init__(
        self,
        *,
        failures: int = 3,
        cooldown: float = 1.0,
        max_cooldown: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold, self._first_cooldown, self._max_cooldown, self._clock = failures, cooldown, max_cooldown, clock
        self._failures = 0
        self._cooldown = cooldown
        self._open_until = 0.0
        self._half_open = False

    @property
    def tripped(self) -> bool:
        """Whether it is not closed: the last calls failed."""
        return self._failures >= self._threshold

    def allow(self) -> bool:
        """Whether a call may be made now; its result is to be reported with `succeeded` or `failed`.

        After a cooldown one call is allowed. If its result is never reported, another one is after a further cooldown.
        """
        if not self.tripped:
            return True
        now = self._clock()
        if now < self._open_until:
            return False
        self._open_until = now + self._cooldown
        self._half_open = True
        return True

    def succeeded(self) -> None:
        """Report a call that worked: closes the breaker."""
        self._failures, self._cooldown, self._half_open = 0, self._first_cooldown, False

    def failed(self) -> None:
        """Report a call that failed."""
        if self.tripped and not self._half_open:
            return  # it was made before the breaker opened and is no trial
        self._half_open = False
        self._failures += 1
        if self.tripped:
            self._open_until = self._clock() + self._cooldown
            self._cooldown = min(2 * self._cooldown, self._max_cooldown)
