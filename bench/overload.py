"""What the service does with three times as much as it can do.

    python -m bench.overload blip2 --seconds 30

First as many requests as it answers when 32 callers wait for each other: its capacity. Then requests come at three
times that pace whatever becomes of them, and one caller in twenty hangs up. Told are the goodput (answers a second, in
parts of the capacity), what the others were told, and how many rows were computed for callers that had left.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from bench.pictures import drawn
from bench.serving.processes import server

TIMES = 3
_WARM, _CLOSED = 3.0, 8.0  # seconds
_CALLERS = 32
_LEAVES, _PATIENCE = 0.05, 0.3  # part of the callers, and seconds after which they hang up


@dataclass
class Outcomes:
    """What became of the requests: by status, and whether those turned away were told when to come again."""

    statuses: Counter[int] = field(default_factory=Counter)
    left: int = 0
    without_retry_after: int = 0
    seconds: list[float] = field(default_factory=list)  # of the answered ones


class Source:
    """Pictures that nobody has seen, without drawing each: bytes behind a picture's end change its hash alone."""

    def __init__(self, start: int = 0) -> None:
        self._drawn = [data for data, _ in drawn(64, seed=7)]
        self._count = start

    def next(self) -> bytes:
        self._count += 1
        return self._drawn[self._count % len(self._drawn)] + self._count.to_bytes(8, "big")


async def ask(
    session: aiohttp.ClientSession, url: str, model: str, data: bytes, told: Outcomes, *, leaves: bool
) -> None:
    form = aiohttp.FormData()
    form.add_field("images", io.BytesIO(data), filename="scene")
    started = time.perf_counter()
    timeout = aiohttp.ClientTimeout(total=_PATIENCE if leaves else 120)
    try:
        async with session.post(
            f"{url}/api/caption-images", params={"model": model}, data=form, timeout=timeout
        ) as got:
            await got.read()
    except TimeoutError:
        told.left += 1
        return
    told.statuses[got.status] += 1
    if got.status == 200:
        told.seconds.append(time.perf_counter() - started)
    elif "Retry-After" not in got.headers:
        told.without_retry_after += 1


async def capacity(session: aiohttp.ClientSession, url: str, model: str, source: Source, seconds: float) -> float:
    """Answers a second while each caller waits for the one before."""
    told = Outcomes()
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while time.perf_counter() < end:
            await ask(session, url, model, source.next(), told, leaves=False)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    return told.statuses[200] / (time.perf_counter() - started)


async def overload(
    session: aiohttp.ClientSession, url: str, model: str, source: Source, rate: float, seconds: float
) -> tuple[Outcomes, float]:
    """`rate` requests a second for `seconds`; and the seconds until the last was answered."""
    told = Outcomes()
    rng = random.Random(3)
    waiting: set[asyncio.Task[None]] = set()
    started = time.perf_counter()
    sent = 0
    while (passed := time.perf_counter() - started) < seconds:
        while sent < rate * passed:
            sent += 1
            leaves = rng.random() < _LEAVES
            task = asyncio.create_task(ask(session, url, model, source.next(), told, leaves=leaves))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        await asyncio.sleep(0.005)
    await asyncio.gather(*waiting)
    return told, time.perf_counter() - started


async def measure(url: str, model: str, seconds: float) -> tuple[float, Outcomes, float]:
    """The capacity, what became of the overload, and how long that took."""
    source = Source()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await capacity(session, url, model, source, _WARM)
        able = await capacity(session, url, model, source, _CLOSED)
        told, took = await overload(session, url, model, source, TIMES * able, seconds)
    return able, told, took


def counted(url: str, name: str, model: str) -> float:
    """The sum of a metric's samples for the model."""
    text = urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()
    found = re.findall(rf'^{name}\{{[^}}]*model="{model}"[^}}]*\}} (\S+)$', text, re.MULTILINE)
    return sum(map(float, found))


def quantile(values: Sequence[float], part: float) -> float:
    return sorted(values)[int(part * (len(values) - 1))] if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description="The service under three times of what it can do.")
    parser.add_argument("model", nargs="?", default="blip2")
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    with server("deploy.local", "--host", "127.0.0.1", "--weights", "sample") as url:
        able, told, took = asyncio.run(measure(url, options.model, options.seconds))
        computed = counted(url, "looksee_queue_seconds_count", options.model)
        dropped = counted(url, "looksee_rows_dropped_total", options.model)
    good = told.statuses[200] / took
    print(f"capacity {able:.0f}/s; asked for {TIMES * able:.0f}/s, {options.seconds:.0f} s long")
    print(f"goodput {good:.0f}/s: {good / able:.0%} of the capacity")
    print(f"answers by status {dict(told.statuses)}, {told.left} callers left, {dropped:.0f} rows dropped unanswered")
    print(f"refusals without Retry-After: {told.without_retry_after}; rows computed in all: {computed:.0f}")
    print(f"seconds of an answer: median {quantile(told.seconds, 0.5):.2f}, p99 {quantile(told.seconds, 0.99):.2f}")


if __name__ == "__main__":
    main()
