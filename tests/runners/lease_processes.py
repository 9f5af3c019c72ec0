"""Processes that hold leases for a while and record when, as runners do, but without models."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runners.capacity import CapacityManager

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Stamp:
    """`event` is `queued`, `start` or `end`; `at` is in seconds of the monotonic clock."""

    event: str
    model: str
    at: float


class Stamps:
    """A file that many processes append to."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    def add(self, event: str, model: str) -> None:
        line = json.dumps({"event": event, "model": model, "at": time.monotonic()}) + "\n"
        with self.file.open("ab", buffering=0) as out:  # one write: lines of others are not torn
            out.write(line.encode())

    def all(self, event: str | None = None) -> list[Stamp]:
        stamps = [Stamp(**json.loads(line)) for line in self.file.read_text().splitlines()]
        return [stamp for stamp in stamps if event in (None, stamp.event)]

    def models(self, event: str) -> list[str]:
        return [stamp.model for stamp in self.all(event)]

    def most_at_once(self) -> int:
        """How many were between their start and their end at the same time."""
        at_once = most = 0
        for stamp in self.all():
            at_once += {"start": 1, "end": -1}.get(stamp.event, 0)
            most = max(most, at_once)
        return most

    def wait(self, event: str, model: str, seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while model not in self.models(event):
            assert time.monotonic() < end, f"no {event} of {model}: {self.all()}"
            time.sleep(0.01)


async def hold(directory: Path, capacity: int, model: str, stamps: Stamps, *, rounds: int, busy: float) -> None:
    """Hold a lease `rounds` times: busy for `busy` seconds, then idle for a second or until another one requests it."""
    manager = CapacityManager(directory, capacity, model)
    for _ in range(rounds):
        stamps.add("queued", model)
        lease = await manager.acquire()
        assert lease is not None
        stamps.add("start", model)
        await asyncio.sleep(busy)
        lease.mark(busy=False)
        stamps.add("idle", model)
        end = time.monotonic() + 1
        while lease.seconds_requested() is None and time.monotonic() < end:  # noqa: ASYNC110 (another process may request it)
            await asyncio.sleep(0.01)
        stamps.add("end", model)
        lease.release()


@contextlib.contextmanager
def holding(
    stamps: Stamps, model: str, *, capacity: int = 1, rounds: int = 1, busy: float = 0.0
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds leases in the folder of `stamps`; killed at the end."""
    words = [str(stamps.file), model, str(capacity), str(rounds), str(busy)]
    process = subprocess.Popen([sys.executable, "-m", "tests.runners.lease_processes", *words], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


if __name__ == "__main__":
    log, model, capacity, rounds, busy = sys.argv[1:]
    folder = Path(log).parent / "looksee"
    asyncio.run(hold(folder, int(capacity), model, Stamps(Path(log)), rounds=int(rounds), busy=float(busy)))
