"""The service under load: right, batched, responsive. (How fast it is, is `make bench`'s to say.)"""

from __future__ import annotations

import asyncio
import statistics
import time

import httpx
import pytest

from samples import evaluate
from tests.service.test_failures import captions, drawn
from tests.serving import Service, serve

SCENES = 500


@pytest.mark.parametrize("concurrency", [1, 32])
def test_fresh_scenes_are_captioned_exactly(service: Service, concurrency: int) -> None:
    pictures = evaluate.drawn(SCENES, seed=concurrency)
    result = asyncio.run(evaluate.captions(service.url, "blip", pictures, concurrency))
    assert result.right + len(result.wrong) == SCENES
    assert result.accuracy >= 0.97, result.wrong


def test_six_hundred_requests_at_once_share_batches_and_none_fails(service: Service) -> None:
    def steps() -> tuple[float, float]:
        return service.metric("looksee_batch_rows_sum"), service.metric("looksee_batch_rows_count")

    rows, count = steps()
    ends = asyncio.run(captions(service.url, drawn("load", 600), 32))
    assert ends["right"] + ends["wrong"] == 600
    now_rows, now_count = steps()
    assert (now_rows - rows) / (now_count - count) > 4


async def _healthz_during(url: str, work: asyncio.Task[object]) -> list[float]:
    times = []
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        while not work.done():
            started = time.perf_counter()
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            times.append(time.perf_counter() - started)
            await asyncio.sleep(0.01)
    return times


def test_healthz_answers_while_a_runner_loads_and_while_it_generates() -> None:
    """A frozen event loop would show as seconds: loading alone takes several."""
    with serve() as service:

        async def scenario(name: str, count: int, concurrency: int) -> list[float]:
            work: asyncio.Task[object] = asyncio.ensure_future(captions(service.url, drawn(name, count), concurrency))
            times = await _healthz_during(service.url, work)
            await work
            return times

        for times in (asyncio.run(scenario("loading", 1, 1)), asyncio.run(scenario("generating", 100, 4))):
            assert len(times) > 50
            assert statistics.quantiles(times, n=100)[98] < 0.25
