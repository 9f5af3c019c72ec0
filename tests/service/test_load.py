"""The service under load: right, batched, responsive. (How fast it is, is `make bench`'s to say.)"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator

import httpx
import pytest

from models.catalog import CATALOG
from samples import evaluate
from tests.service.test_failures import captions, drawn
from tests.serving import Service, serve
from vision.tasks import Task

SCENES = {1: 100, 32: 500}  # for each model, by concurrency; `make evaluate` asks about 500 at both
# scenes.md's; a flag is a question
LEAST = {Task.CAPTION: 0.95, Task.QUERY: 0.95, evaluate.FLAG: 0.95, Task.COLLECTIVE: 0.90}


@pytest.fixture(scope="module")
def everything() -> Iterator[Service]:
    """A service that keeps all of its models."""
    with serve(MODEL_CAPACITY="0") as service:
        yield service


@pytest.mark.parametrize("concurrency", SCENES)
def test_fresh_scenes_are_answered_exactly_in_one_mixed_stream(everything: Service, concurrency: int) -> None:
    """All models and all of their tasks, each about scenes of its own."""
    stream = evaluate.mixed(tuple(CATALOG), SCENES[concurrency], seed=concurrency)
    results = asyncio.run(evaluate.measure(everything.url, stream, concurrency))
    assert sum(result.right + len(result.wrong) for result in results.values()) == len(stream)
    assert set(results) >= {(model, task) for model, entry in CATALOG.items() for task in entry.tasks}
    for (model, task), result in results.items():
        least = 0.97 if model == "blip" else LEAST[task]
        assert result.accuracy >= least, (model, task, result.wrong[:5])


def test_six_hundred_requests_at_once_share_batches_and_none_fails(service: Service) -> None:
    def steps() -> tuple[float, float]:
        return service.metric("looksee_batch_rows_sum"), service.metric("looksee_batch_rows_count")

    rows, count = steps()
    ends = asyncio.run(captions(service.url, drawn("load", 600), 32))
    assert ends["right"] + ends["wrong"] == 600
    now_rows, now_count = steps()
    assert (now_rows - rows) / (now_count - count) > 1.5  # of captions of four tokens: half of a row's life is prefill


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
