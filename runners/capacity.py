"""Which models may have their weights in memory: `MODEL_CAPACITY` leases that the runners of a machine share.

The runners are separate processes and may be killed at any time, so a lease is a lock (flock) on a file: the system
releases it the moment its holder dies. A runner that needs a lease queues with a ticket, which is a locked file too.

    slot-0, slot-1, ...      one for each lease; locked by its holder, whose record it contains
    <number>.ticket          locked by a waiting runner; the smallest number is next

The runner that is next tries the slots. When all are taken it names one that should be released: that of the idle
holder whose last use is longest ago, or where all are busy of the one that has held it longest. Pinned ones are never
named. Holders read that and act on it when they can. No process ever blocks on a lock.

Numbers and times in the files are of the machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

POLL_SECONDS = 0.03  # how often a waiting runner checks the queue and the slots

_MAX_RECORD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """The process that holds a lease, and the number of its slot.

    `since` and `used` (the last use) are seconds of the monotonic clock; `busy` says whether calls are active. A
    `pinned` one gives its place to no other model.
    """

    slot: int
    model: str
    pid: int
    since: float
    used: float
    busy: bool
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A waiting process, since when it waits, and the slot that it requests: None until it is next in the queue."""

    model: str
    pid: int
    since: float
    slot: int | None = None


RecordT = TypeVar("RecordT", LeaseHolder, _Ticket)


class Lease:
    """The right to have one model's weights in memory, from construction until `release` or the end of the process."""

    def __init__(self, manager: CapacityManager, descriptor: int, holder: LeaseHolder) -> None:
        """`descriptor` is that of the slot's file, which this process has locked. The lease closes it."""
        self._manager, self._holder = manager, holder
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()  # a descriptor that is closed twice may be another file's by then
        self.mark(busy=holder.busy)

    def mark(self, *, busy: bool) -> None:
        """Publish that this model is busy, or idle from now on. Not where the file cannot be written: others then read
        what was published before.
        """
        self._holder = replace(self._holder, busy=busy, used=time.monotonic())
        with self._lock, contextlib.suppress(OSError):
            if self._descriptor is not None:
                _write(self._descriptor, self._holder)

    def seconds_requested(self) -> float | None:
        """How long the runner that is next and requests this slot has waited in the queue; None if there is none."""
        ticket = self._manager.next_ticket()
        if ticket is None or ticket.slot != self._holder.slot:
            return None
        return time.monotonic() - ticket.since

    def release(self) -> None:
        """Give up the lease, if it is still held. Any thread."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)  # which also unlocks the file


class CapacityManager:
    """One runner's view of the leases in `directory`. `capacity` 0 means as many as there are runners."""

    def __init__(self, directory: Path, capacity: int, model: str, *, pinned: bool = False) -> None:
        """`pinned`: what this runner holds is released for no other one."""
        self.directory, self.capacity, self.model, self.pinned = directory, capacity, model, pinned
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def acquire(self, still_needed: Callable[[], bool] = lambda: True) -> Lease | None:
        """A lease, in the order of the requests; None once it is not `still_needed`. Cancelling leaves the queue.

        Raises OSError when the directory cannot be written.
        """
        if not self.capacity:
            return self._take_free()
        number, descriptor = self._enqueue()
        own = _Ticket(self.model, os.getpid(), number / 1e9)
        try:
            _write(descriptor, own)
            while still_needed():
                if self._is_next(number):
                    lease = self._take_free()
                    if lease is not None:
                        return lease
                    requesting = replace(own, slot=self._slot_to_release())
                    if requesting != own:
                        own = requesting
                        _write(descriptor, own)
                elif not os.fstat(descriptor).st_nlink:  # the directory was cleared: queue again
                    ticket = self._enqueue()  # first: if it raises, the old descriptor is closed below
                    os.close(descriptor)
                    number, descriptor = ticket
                    _write(descriptor, own)
                await asyncio.sleep(POLL_SECONDS)
            return None
        finally:
            self._path(number).unlink(missing_ok=True)
            os.close(descriptor)

    def holders(self) -> list[LeaseHolder]:
        """The present holders of leases, for display."""
        found = []
        for path in sorted(self.directory.glob("slot-*")):
            with _opened(path) as descriptor:
                if descriptor is not None and not _lock(descriptor, fcntl.LOCK_SH):
                    holder = _read(descriptor, LeaseHolder)
                    if holder is not None:
                        found.append(holder)
        return found

    def next_ticket(self) -> _Ticket | None:
        """The ticket that is next in the queue; None if the queue is empty."""
        for number in self._tickets():
            with self._live_ticket(number) as descriptor:
                if descriptor is not None:
                    return _read(descriptor, _Ticket)
        return None

    def _is_next(self, number: int) -> bool:
        """Whether the ticket `number` still exists and no live process waits before it."""
        for other in self._tickets():
            if other == number:
                return True
            with self._live_ticket(other) as descriptor:
                if descriptor is not None:
                    return False
        return False

    def _take_free(self) -> Lease | None:
        """A lease on a slot that is free now."""
        for slot in range(self.capacity) if self.capacity else itertools.count():
            descriptor = os.open(self.directory / f"slot-{slot}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _lock(descriptor, fcntl.LOCK_EX):
                now = time.monotonic()
                holder = LeaseHolder(slot, self.model, os.getpid(), now, now, busy=True, pinned=self.pinned)
                return Lease(self, descriptor, holder)
            os.close(descriptor)
        return None

    def _slot_to_release(self) -> int | None:
        """The slot that should be released for the next in the queue: the least recently used one; None if all stay."""
        holders = [holder for holder in self.holders() if not holder.pinned]
        idle = [holder for holder in holders if not holder.busy]
        if idle:
            return min(idle, key=lambda holder: holder.used).slot
        return min(holders, key=lambda holder: holder.since).slot if holders else None

    def _enqueue(self) -> tuple[int, int]:
        """The number of a new ticket and the descriptor of its locked file."""
        while True:
            number = time.monotonic_ns()
            try:
                descriptor = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            # Until it is locked it looks like the ticket of a dead process, and another one may remove it.
            if _lock(descriptor, fcntl.LOCK_EX) and os.fstat(descriptor).st_nlink:
                return number, descriptor
            self._path(number).unlink(missing_ok=True)
            os.close(descriptor)

    def _tickets(self) -> list[int]:
        """The numbers of all tickets in ascending order, those of dead processes included."""
        return sorted(int(path.stem) for path in self.directory.glob("*.ticket") if path.stem.isdecimal())

    def _path(self, number: int) -> Path:
        return self.directory / f"{number}.ticket"

    @contextlib.contextmanager
    def _live_ticket(self, number: int) -> Iterator[int | None]:
        """The descriptor of a live process's ticket. A dead one's is removed, and None is given for it."""
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
    """Lock the file if that is possible without waiting; returns whether it was."""
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
        fields: dict[str, Any] = json.loads(os.pread(descriptor, _MAX_RECORD_BYTES, 0))
        return kind(**fields)
    except (ValueError, TypeError):
        return None
