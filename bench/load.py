"""A load of requests, and what came of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from tqdm import tqdm

ItemT = TypeVar("ItemT")
# Sends one request for some items; tells how many were answered right, and how many by the cache.
Send = Callable[[aiohttp.ClientSession, Sequence[ItemT]], Awaitable[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Load:
    """One load's figures. `p50` and so on are seconds of a request, which may have several items."""

    items: int
    each: int
    concurrency: int
    errors: int
    right: int
    cached: int
    seconds: float
    p50: float
    p95: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return (self.items - self.errors) / self.seconds


async def run(items: Sequence[ItemT], send: Send[ItemT], concurrency: int, label: str, *, each: int = 1) -> Load:
    """Send each item once, `each` in a request, `concurrency` requests at a time, over kept-alive connections."""
    waiting = iter([items[first : first + each] for first in range(0, len(items), each)])
    times: list[float] = []
    errors = right = cached = 0
    bar = tqdm(total=len(items), desc=f"{label:>22}, {concurrency:>2} at a time", leave=False)

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal errors, right, cached
        for group in waiting:
            started = time.perf_counter()
            try:
                own_right, own_cached = await send(session, group)
            except aiohttp.ClientError:
                errors += len(group)
            else:
                right, cached = right + own_right, cached + own_cached
            finally:
                times.append(time.perf_counter() - started)
                bar.update(len(group))

    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        started = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
        seconds = time.perf_counter() - started
    bar.close()
    cuts = statistics.quantiles(times, n=100)
    return Load(len(items), each, concurrency, errors, right, cached, seconds, cuts[49], cuts[94], cuts[98])
