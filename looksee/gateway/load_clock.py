"""Deadlines that stand still while weights load: a load takes as long as it takes, and is bounded by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

# Gets the seconds that a job may wait for weights, when it begins to; 0 once it goes on.
OnWait = Callable[[float], None]


class LoadClock(Protocol):
    """The deadline of a request. Several of its jobs may hold it at a time."""

    def hold(self, seconds: float) -> None:
        """Let it stand still, for so many seconds at most."""

    def go_on(self) -> None:
        """Once for each `hold`."""

    def left(self) -> float:
        """The seconds that are left of it; negative once it has passed."""

    def longest(self) -> float:
        """The seconds until it passes, if it stands still for as long as it may."""


class MovingDeadline:
    """That of one job, over all runners that it is given: it stands still while one of them loads."""

    def __init__(self, seconds: float, on_wait: OnWait | None) -> None:
        """`on_wait` is told of each wait, if anybody is to be told. `deadline` is of the monotonic clock."""
        self.deadline = time.monotonic() + seconds
        self._on_wait = on_wait
        self._since = 0.0  # when it began to stand still; 0.0: it does not

    def left(self) -> float:
        """The seconds that are left of it."""
        return self.deadline - (self._since or time.monotonic())

    def wait(self, seconds: float) -> None:
        """It stands still from now on, for so many seconds at most; with 0 it goes on."""
        now = time.monotonic()
        if self._since:
            self.deadline += now - self._since
        self._since = now if seconds else 0.0
        if self._on_wait is not None:
            self._on_wait(seconds)


class JobTime(MovingDeadline):
    """The time of one job that is sent to a runner, which stands still while that loads if anybody is to be told."""

    def __init__(self, seconds: float, grace: float, on_wait: OnWait | None) -> None:
        """`clock` ends the wait for the reply `grace` seconds after the deadline."""
        super().__init__(seconds, on_wait)
        self.clock = asyncio.timeout(seconds + grace)
        self._grace = grace

    @property
    def stands_still(self) -> bool:
        """Whether it does so while weights load."""
        return self._on_wait is not None

    def wait(self, seconds: float) -> None:
        """As of any deadline; without anybody who is told it goes on all the time."""
        if not self.stands_still or not (seconds or self._since):
            return
        super().wait(seconds)
        if not self.clock.expired():
            self.clock.reschedule(asyncio.get_running_loop().time() + self.left() + seconds + self._grace)


class Waiting:
    """One who waits for a job, until a fixed `deadline` of the monotonic clock, or until that of `clock`."""

    def __init__(self, deadline: float, clock: LoadClock | None = None) -> None:
        self.clock = clock
        self._deadline, self._holds = deadline, False

    def left(self) -> float:
        """The seconds that are left for the job itself."""
        return self._deadline - time.monotonic() if self.clock is None else self.clock.left()

    def longest(self) -> float:
        """The seconds until it leaves, at most."""
        return self._deadline - time.monotonic() if self.clock is None else self.clock.longest()

    def on_wait(self, seconds: float) -> None:
        """The job waits for weights, or with 0 does not any more."""
        if self.clock is None:
            return
        if self._holds:
            self.clock.go_on()
        self._holds = seconds > 0
        if self._holds:
            self.clock.hold(seconds)
