"""A load of captioning requests, one picture each, and what came of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from tqdm import tqdm

Picture = tuple[bytes, str]  # a file and its caption


@dataclass(frozen=True, slots=True)
class Load:
    """One load's figures; seconds."""

    requests: int
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
        return (self.requests - self.errors) / self.seconds


async def run(url: str, pictures: Sequence[Picture], concurrency: int, label: str) -> Load:
    """Send each picture once, `concurrency` at a time, over kept-alive connections."""
    waiting = iter(pictures)
    times: list[float] = []
    errors = right = cached = 0
    bar = tqdm(total=len(pictures), desc=f"{label:>22}, {concurrency:>2} at a time", unit="picture", leave=False)

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal errors, right, cached
        for data, caption in waiting:
            form = aiohttp.FormData()
            form.add_field("images", data, filename="scene")
            started = time.perf_counter()
            try:
                async with session.post(f"{url}/api/caption-images", data=form) as response:
                    body = await response.json()
                    response.raise_for_status()
            except aiohttp.ClientError:
                errors += 1
                continue
            finally:
                times.append(time.perf_counter() - started)
                bar.update()
            (result,) = body["results"]
            right += result.get("caption") == caption
            cached += bool(result.get("cache"))

    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        started = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
        seconds = time.perf_counter() - started
    bar.close()
    cuts = statistics.quantiles(times, n=100)
    return Load(len(pictures), concurrency, errors, right, cached, seconds, cuts[49], cuts[94], cuts[98])
