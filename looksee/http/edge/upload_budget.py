"""The bytes of request bodies that a gateway process holds: of all requests under way together.

A body is held from its first byte to the end of its request, since its pictures are. When there is no more room, bodies
that arrive slowly give way: else a few callers that send a byte now and then could keep everybody else out.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from looksee.core import errors

_FREE = 64 * 2**10  # bytes of each body that do not count: requests without pictures pass when there is no room
_PATIENCE = 5.0  # seconds that a body may take to arrive before it gives way to others
_RETRY_AFTER = 2  # seconds


class ArrivingBody:
    """A body that arrives or has arrived, in the budget until `end`."""

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self.received = 0  # bytes
        self.started = budget.clock()
        self.arrives = True
        self.give_way: Callable[[errors.LookseeError], None] = lambda error: None  # ends the request with an error

    @property
    def counted(self) -> int:
        """The bytes that count."""
        return max(0, self.received - _FREE)

    def check(self, declared: int) -> None:
        """Raises Overloaded where a body of `declared` bytes has no room, before anything of it is read."""
        if not self._budget.has_room(self, declared):
            raise _no_room()

    def add(self, nbytes: int) -> errors.LookseeError | None:
        """Count a part that has arrived; the error of a body that finds no room."""
        self.received += nbytes
        return None if self._budget.make_room(self) else _no_room()

    def end(self) -> None:
        """The request has ended, or its body is not wanted any more."""
        self._budget.uploads.discard(self)


class UploadBudget:
    """At most `limit` bytes of bodies, and 64 KiB beside them for each request. For one event loop."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.clock = limit, clock
        self.uploads: set[ArrivingBody] = set()

    def begin(self) -> ArrivingBody:
        """A new body, of no bytes yet."""
        upload = ArrivingBody(self)
        self.uploads.add(upload)
        return upload

    def has_room(self, upload: ArrivingBody, declared: int) -> bool:
        """Whether there is room for a body of so many bytes, at least when slow ones give way."""
        others = self.uploads - {upload}
        slow = set(self._slow(upload))
        return sum(one.counted for one in others - slow) + max(0, declared - _FREE) <= self.limit

    def make_room(self, upload: ArrivingBody) -> bool:
        """Have as many slow bodies give way to `upload` as need be, the slowest first; False if that is not enough."""
        over = sum(one.counted for one in self.uploads) - self.limit
        if over <= 0:
            return True
        slow = self._slow(upload)
        if sum(one.counted for one in slow) < over:
            return False
        for one in slow:
            if over <= 0:
                break
            over -= one.counted
            one.end()
            one.give_way(errors.Overloaded("The upload was too slow while others waited.", retry_after=_RETRY_AFTER))
        return True

    def _slow(self, upload: ArrivingBody) -> list[ArrivingBody]:
        """The bodies beside `upload` that have had their time and still arrive, the slowest first."""
        now = self.clock()
        late = [one for one in self.uploads if one.arrives and one.counted and now - one.started > _PATIENCE]
        return sorted((one for one in late if one is not upload), key=lambda one: one.received / (now - one.started))


def _no_room() -> errors.LookseeError:
    return errors.Overloaded("Too many uploads are under way; try again later.", retry_after=_RETRY_AFTER)
