"""The service under load: right, batched, responsive. (How fast it is, is `make bench`'s to say.)"""

from __future__ import annotations

import asyncio
import math
import statistics
import time

import httpx
import pytest

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from samples import evaluate, questions
from samples.evaluate import Result
from tests.faults.callers import drawn
from tests.faults.test_failures import captions
from tests.support.serving import Service, serve

SCENES = {1: 4, 32: 40}  # for each model, by concurrency; how often they are right is `make evaluate`'s to say
# What the weights are made to reach; a flag is a question.
TEXTS = {"blip": 0.97, "moondream": 0.97}
OTHERS: dict[str, float] = {Task.COLLECTIVE: 0.90, **dict.fromkeys(questions.STRUCTURED, 0.35)}


@pytest.mark.parametrize("concurrency", SCENES)
def test_fresh_scenes_are_answered_exactly_in_one_mixed_stream(everything: Service, concurrency: int) -> None:
    """All models and all of their tasks, each about scenes of its own."""
    stream = questions.mixed(tuple(REGISTRY), SCENES[concurrency], seed=concurrency)
    results = asyncio.run(evaluate.measure(everything.url, stream, concurrency))
    texts = [ask for ask in stream if isinstance(ask.answer, str)]
    assert sum(result.asked for (_, task), result in results.items() if not is_place(task)) == len(texts)
    measured = {(model, task) for model, entry in REGISTRY.items() for task in entry.tasks} - {("moondream", "detect")}
    measured -= {(model, Task.CLASSIFY) for model in REGISTRY}  # `bench.scores.labels` does
    assert set(results) >= measured | {("moondream", Task.DETECT + of) for of in (evaluate.RECALL, evaluate.PRECISION)}
    lengths = Result()
    for (model, task), result in results.items():
        if model == "moondream" and task.startswith("caption"):  # of all lengths together
            lengths.right, lengths.asked = lengths.right + result.right, lengths.asked + result.asked
        else:
            least = 0.95 if is_place(task) else OTHERS.get(task) or TEXTS.get(model, 0.95)
            assert not surely_below(result, least), (model, task, result.wrong[:5])
    assert not surely_below(lengths, TEXTS["moondream"])


def surely_below(result: Result, least: float) -> bool:
    """Whether so few right answers would be seen once in a thousand times at most, were the accuracy `least`."""
    chance = sum(
        math.comb(result.asked, right) * least**right * (1 - least) ** (result.asked - right)
        for right in range(result.right + 1)
    )
    return chance < 0.001


def is_place(task: str) -> bool:
    return task.startswith((Task.DETECT, Task.POINT))


def test_six_hundred_requests_at_once_share_batches_and_none_fails(everything: Service) -> None:
    def steps() -> tuple[float, ...]:
        return tuple(everything.metric(f"looksee_batch_rows_{kind}", model="blip") for kind in ("sum", "count"))

    rows, count = steps()
    ends = asyncio.run(captions(everything.url, drawn("load", 600), 32))
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
    """Behind a frozen event loop it would take as long as what freezes it: the load, or a caption."""
    with serve() as service:

        async def scenario(name: str, count: int, concurrency: int) -> tuple[list[float], float]:
            files = drawn(name, count)
            began = time.perf_counter()
            work: asyncio.Task[object] = asyncio.ensure_future(captions(service.url, files, concurrency))
            times = await _healthz_during(service.url, work)
            await work
            return times, (time.perf_counter() - began) * concurrency / count

        times, load = asyncio.run(scenario("loading", 1, 1))
        assert max(times) < load / 4
        times, caption = asyncio.run(scenario("generating", 200, 4))
        assert len(times) > 50
        assert statistics.median(times) < caption / 4
