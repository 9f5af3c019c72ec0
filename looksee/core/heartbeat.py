"""How a served process shows its supervisor that its event loop runs: it writes into a file of its own, once a second.

The supervisor (`looksee.serving.supervision`) hands its process id and the folder of these files to the processes that
it starts, and ends one that is silent. A process that no supervisor has started writes nothing.

A file has a count that changes with each beat, and the seconds for which the process asks to be left alone: libraries
are imported and weights are read with Python's global lock held, for as long as a slow disk takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

BEAT_SECONDS = 1.0  # between two beats
VARIABLE = "_LOOKSEE_SUPERVISOR"  # `<process id> <folder>`, in the environment of supervised processes

_PR_SET_PDEATHSIG = 1  # of prctl(2): the signal that a process gets when its parent dies

_asked: dict[int, float] = {}  # seconds of patience that are asked for now, by a number for each who asks
_numbers = itertools.count()
_lock = threading.Lock()


def supervisor() -> tuple[int, Path] | None:
    """The process id of this process's supervisor and the folder of the beats; None if there is none."""
    pid, _, folder = os.environ.get(VARIABLE, "").partition(" ")
    return (int(pid), Path(folder)) if pid.isdecimal() and folder else None


def end_with_supervisor() -> None:
    """Have the system kill this process when its supervisor dies. It would go on to hold the port, a lease and memory.

    On systems without such a thing, the next beat does it.
    """
    found = supervisor()
    if found is None:
        return
    end_with_parent(signal.SIGKILL)
    if os.getppid() != found[0]:  # it died before
        os._exit(1)


def end_with_parent(number: signal.Signals) -> None:
    """Have this process get the signal `number` when its parent dies. Linux only; without effect elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Ask the supervisor to let this process be silent for so long, in this context. In any thread."""
    with _lock:
        number = next(_numbers)
        _asked[number] = seconds
    _beat()
    try:
        yield
    finally:
        with _lock:
            del _asked[number]


@contextlib.asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Beat in this context, on this event loop."""
    found = supervisor()
    if found is None:
        yield
        return
    pid, folder = found

    async def beat() -> None:
        while True:
            if os.getppid() != pid:  # where the system does not kill the processes of a dead one
                os._exit(1)
            _beat()
            await asyncio.sleep(BEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        (folder / str(os.getpid())).unlink(missing_ok=True)


def _beat() -> None:
    """Write a beat, if there is a supervisor."""
    found = supervisor()
    if found is None:
        return
    with _lock:
        content = f"{next(_numbers):020d} {max(_asked.values(), default=0.0):12}".encode()
        # Over what is there, which needs no space; and where a disk is full from the beginning, its time is a beat too.
        with contextlib.suppress(OSError):
            descriptor = os.open(found[1] / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.utime(descriptor)
                os.pwrite(descriptor, content, 0)
            finally:
                os.close(descriptor)
