"""A load of captioning requests, and what came of it."""

from __future__ import annotations

import asyncio
import io
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from tqdm import tqdm

from bench.pictures import Picture


@dataclass(frozen=True, slots=True)
class Load:
    """One load's figures. `p50` and so on are seconds of a request, which may have several pictures."""

    pictures: int
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
        """Captions a second."""
        return (self.pictures - self.errors) / self.seconds


async def run(
    url: str, model: str, pictures: Sequence[Picture], concurrency: int, label: str, *, each: int = 1
) -> Load:
    """Send each picture once, `each` in a request, `concurrency` requests at a time, over kept-alive connections."""
    waiting = iter([pictures[first : first + each] for first in range(0, len(pictures), each)])
    times: list[float] = []
    errors = right = cached = 0
    bar = tqdm(total=len(pictures), desc=f"{label:>22}, {concurrency:>2} at a time", unit="picture", leave=False)

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal errors, right, cached
        for group in waiting:
            form = aiohttp.FormData()
            for data, _ in group:
                form.add_field("images", io.BytesIO(data), filename="scene")
            started = time.perf_counter()
            try:
                async with session.post(f"{url}/api/caption-images", params={"model": model}, data=form) as response:
                    body = await response.json()
                    response.raise_for_status()
            except aiohttp.ClientError:
                errors += len(group)
                continue
            finally:
                times.append(time.perf_counter() - started)
                bar.update(len(group))
            for (_, caption), result in zip(group, body["results"], strict=True):
                right += result.get("caption") == caption
                cached += bool(result.get("cache"))

    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        started = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
        seconds = time.perf_counter() - started
    bar.close()
    cuts = statistics.quantiles(times, n=100)
    return Load(len(pictures), each, concurrency, errors, right, cached, seconds, cuts[49], cuts[94], cuts[98])
