"""Which models may have their weights in memory: `MODEL_CAPACITY` slots that the runners of a machine share.

The runners are processes of their own and may be killed at any time, so a slot is a locked file: the system lets go of
the lock (flock) in the moment its holder dies. Whoever needs a slot queues with a ticket, which is a locked file too.

    slot-0, slot-1, ...      locked by the runner that holds it; in it who that is and whether it is at work
    <number>.ticket          locked by a runner that waits; the smallest number is next

The next in line tries the slots. When all are taken it names one that should be given up: the least recently used idle
one, or where all are at work the one that has been held for the longest time. Holders read that, and act on it when
they can. Nobody ever waits for a lock.

Numbers and times in the files are of the machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

POLL_SECONDS = 0.03  # how often a waiter looks

_LARGEST = 4096  # bytes of a record


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who holds a slot. `since` and `used` (the last use) are seconds of the monotonic clock."""

    slot: int
    model: str
    pid: int
    since: float
    used: float
    busy: bool


@dataclass(frozen=True, slots=True)
class _Ticket:
    """Who waits since when, and the slot it asks for (None until it is the next)."""

    model: str
    pid: int
    since: float
    slot: int | None = None


RecordT = TypeVar("RecordT", LeaseHolder, _Ticket)


class Lease:
    """A place for one model's weights. Held until `release`, at the latest until this process ends."""

    def __init__(self, residency: CapacityManager, descriptor: int, holder: LeaseHolder) -> None:
        self._residency, self._descriptor, self._holder = residency, descriptor, holder
        _write(descriptor, holder)

    def note(self, *, busy: bool) -> None:
        """Tell the others that this model is at work, or idle from now on."""
        self._holder = replace(self._holder, busy=busy, used=time.monotonic())
        _write(self._descriptor, self._holder)

    def wanted(self) -> float | None:
        """For how many seconds the next in line, who asks for this slot, has been waiting; None if nobody does."""
        ticket = self._residency.next_ticket()
        if ticket is None or ticket.slot != self._holder.slot:
            return None
        return time.monotonic() - ticket.since

    def release(self) -> None:
        os.close(self._descriptor)  # and with it the lock


class CapacityManager:
    """One runner's view of the slots in `directory`. `capacity` 0 means as many as there are runners."""

    def __init__(self, directory: Path, capacity: int, model: str) -> None:
        self.directory, self.capacity, self.model = directory, capacity, model
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def acquire(self, wanted: Callable[[], bool] = lambda: True) -> Lease | None:
        """A slot, first come first served; None when it is not `wanted` any more. Cancelling it leaves the queue."""
        if not self.capacity:
            return self._take()
        number, descriptor = self._queue()
        own = _Ticket(self.model, os.getpid(), number / 1e9)
        try:
            _write(descriptor, own)
            while wanted():
                if self._is_next(number):
                    slot = self._take()
                    if slot is not None:
                        return slot
                    asked = replace(own, slot=self._choice())
                    if asked != own:
                        own = asked
                        _write(descriptor, own)
                elif not os.fstat(descriptor).st_nlink:  # somebody cleared the directory: queue again
                    os.close(descriptor)
                    number, descriptor = self._queue()
                    _write(descriptor, own)
                await asyncio.sleep(POLL_SECONDS)
            return None
        finally:
            self._path(number).unlink(missing_ok=True)
            os.close(descriptor)

    def holders(self) -> list[LeaseHolder]:
        """Who holds a slot now, for display."""
        found = []
        for path in sorted(self.directory.glob("slot-*")):
            with _opened(path) as descriptor:
                if descriptor is not None and not _lock(descriptor, fcntl.LOCK_SH):
                    holder = _read(descriptor, LeaseHolder)
                    if holder is not None:
                        found.append(holder)
        return found

    def next_ticket(self) -> _Ticket | None:
        """The ticket of the next in line; None if nobody waits."""
        for number in self._tickets():
            with self._alive(number) as descriptor:
                if descriptor is not None:
                    return _read(descriptor, _Ticket)
        return None

    def _is_next(self, number: int) -> bool:
        """Whether nobody alive waits before the ticket `number`, which is still there."""
        for other in self._tickets():
            if other == number:
                return True
            with self._alive(other) as descriptor:
                if descriptor is not None:
                    return False
        return False

    def _take(self) -> Lease | None:
        """A slot that is free now."""
        for index in range(self.capacity) if self.capacity else itertools.count():
            descriptor = os.open(self.directory / f"slot-{index}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _lock(descriptor, fcntl.LOCK_EX):
                now = time.monotonic()
                return Lease(self, descriptor, LeaseHolder(index, self.model, os.getpid(), now, now, busy=True))
            os.close(descriptor)
        return None

    def _choice(self) -> int | None:
        """The slot that should be given up for the next in line."""
        holders = self.holders()
        idle = [holder for holder in holders if not holder.busy]
        if idle:
            return min(idle, key=lambda holder: holder.used).slot
        return min(holders, key=lambda holder: holder.since).slot if holders else None

    def _queue(self) -> tuple[int, int]:
        """A new ticket's number and its locked file."""
        while True:
            number = time.monotonic_ns()
            try:
                descriptor = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            # Until it is locked it looks like a dead one's, and may be removed.
            if _lock(descriptor, fcntl.LOCK_EX) and os.fstat(descriptor).st_nlink:
                return number, descriptor
            self._path(number).unlink(missing_ok=True)
            os.close(descriptor)

    def _tickets(self) -> list[int]:
        """The numbers of all tickets, also of the dead, in their order."""
        return sorted(int(path.stem) for path in self.directory.glob("*.ticket") if path.stem.isdecimal())

    def _path(self, number: int) -> Path:
        return self.directory / f"{number}.ticket"

    @contextlib.contextmanager
    def _alive(self, number: int) -> Iterator[int | None]:
        """The file of a ticket whose owner lives; None for another, which is removed."""
        path = self._path(number)
        with _opened(path) as descriptor:
            if descriptor is not None and _lock(descriptor, fcntl.LOCK_SH):
                path.unlink(missing_ok=True)
                yield None
            else:
                yield descriptor


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    """Whether the file could be locked at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, record: LeaseHolder | _Ticket) -> None:
    data = json.dumps(asdict(record)).encode()
    os.ftruncate(descriptor, os.pwrite(descriptor, data, 0))


def _read(descriptor: int, kind: type[RecordT]) -> RecordT | None:
    """The record; None while it is being written."""
    try:
        fields: dict[str, Any] = json.loads(os.pread(descriptor, _LARGEST, 0))
        return kind(**fields)
    except (ValueError, TypeError):
        return None
