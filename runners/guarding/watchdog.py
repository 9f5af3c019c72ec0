"""Notices when a model's work stands still: a kernel that does not end, a read that hangs, a join that never returns.

Not time is the measure but movement. The position of a thread in its Python code is looked at again and again; a
prefill of minutes moves with every operation that it starts, and one operation takes seconds on the slowest machine. A
thread that reads weights is at one instruction for long, but gets bytes or pages. So one limit holds for a decode step
and for a model that is loaded from a slow disk. A loop that only sleeps stands still.

A process that is stopped, or in which Python itself hangs, cannot watch itself: its supervisor does.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

_LOOKS = 40  # at the positions, within the seconds after which the work stands still
_MOST_SECONDS_BETWEEN = 1.0


class Watchdog:
    """Watches the activities of one process's model. Does nothing until a thread is started with `on_guard`."""

    def __init__(self, seconds: float, is_busy: Callable[[], bool], on_stall: Callable[[str], None]) -> None:
        """After `seconds` without movement `on_stall` is called with what stands still, once; 0 for never.

        Only while an activity is under way or `is_busy`. Both callables are called in the watching thread.
        """
        self._seconds, self._is_busy, self._on_stall = seconds, is_busy, on_stall
        # By thread: a number of its own, the system's number of the thread, and what it does.
        self._activities: dict[int, tuple[int, int, str]] = {}
        self._numbers = itertools.count()
        self._begun = 0  # the number of the latest activity

    @contextlib.contextmanager
    def watching(self, activity: str) -> Iterator[None]:
        """Watch this thread while it is in this context, if somebody is on guard."""
        thread = threading.get_ident()
        before = self._activities.get(thread)
        self._begun = next(self._numbers)
        self._activities[thread] = (self._begun, threading.get_native_id(), activity)
        try:
            yield
        finally:
            if before is None:
                del self._activities[thread]
            else:
                self._activities[thread] = before

    @contextlib.contextmanager
    def on_guard(self) -> Iterator[None]:
        """Look at the positions in this context, in a thread."""
        if not self._seconds:
            yield
            return
        over = threading.Event()
        threading.Thread(target=self._watch, args=(over,), name="watchdog", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: threading.Event) -> None:
        pause = min(_MOST_SECONDS_BETWEEN, self._seconds / _LOOKS)
        position, still, looked = self._position(), 0.0, time.monotonic()
        while not over.wait(pause):
            now = time.monotonic()
            # Not more than two pauses: whole machines are stopped and go on, and this process must not end for it.
            passed, looked = min(now - looked, 2 * pause), now
            before, position = position, self._position()
            still = still + passed if position == before and (self._activities or self._is_busy()) else 0.0
            if still > self._seconds:
                self._on_stall(self._described(still))
                return

    def _position(self) -> object:
        """Where the watched threads are: another value once one of them has moved, or begun something."""
        frames = sys._current_frames()
        found = [(_stack(frames.get(thread)), _input(native)) for thread, (_, native, _) in self._snapshot()]
        return self._begun, found

    def _described(self, seconds: float) -> str:
        """What stands still, and where."""
        frames = sys._current_frames()
        names = [what for _, (_, _, what) in self._snapshot()] or ["the engine"]
        lines = [f"{' and '.join(names)} stood still for {seconds:.1f} s"]
        watched = {thread for thread, _ in self._snapshot()}
        for thread in threading.enumerate():
            if thread.ident in watched or (not watched and thread.name == "device"):
                frame = frames.get(thread.ident or 0)
                lines += [f"in the thread {thread.name}:", "".join(traceback.format_stack(frame)).rstrip()]
        return "\n".join(lines)

    def _snapshot(self) -> list[tuple[int, tuple[int, int, str]]]:
        return list(self._activities.copy().items())


def _input(native: int) -> list[bytes]:
    """The pages and bytes that a thread has got so far; nothing on other systems than Linux."""
    task, found = Path(f"/proc/self/task/{native}"), []
    with contextlib.suppress(OSError):
        faults = (task / "stat").read_bytes().rpartition(b")")[2].split()
        found += [faults[7], faults[9]]  # minor and major
        found.append((task / "io").read_bytes().partition(b"\n")[0])  # bytes read
    return found


def _stack(frame: FrameType | None) -> list[tuple[int, int]]:
    """A thread's frames, and the instruction that each is at."""
    found = []
    while frame is not None:
        found.append((id(frame), frame.f_lasti))
        frame = frame.f_back
    return found
