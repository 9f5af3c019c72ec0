"""What the number of newcomers in one prefill does to throughput and to the running rows' pace.

    python -m bench.admission gemma --prefill 1 2 4 8 16 32

Drives a model's engine without any server: callers that ask one picture after another, each waiting for its answer. The
rows that run wait for every prefill; the longest of these waits is what somebody who reads a stream notices.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.pictures import drawn
from looksee.core.tasks import Job, Task
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.engine.observer import EngineObserver
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.weights.source import SAMPLES


class Pace(EngineObserver):
    """Remembers when steps ended and how long first tokens took."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.rows: list[int] = []
        self.first_tokens: list[float] = []

    def step_finished(self, rows: int) -> None:
        self.steps.append(time.perf_counter())
        self.rows.append(rows)

    def first_token(self, seconds: float) -> None:
        self.first_tokens.append(seconds)

    def gaps(self) -> list[float]:
        """Seconds between two steps: a step, and the prefill before it if there was one."""
        return [after - before for before, after in zip(self.steps, self.steps[1:], strict=False)]


async def drive(engine: Engine[Any, Any], jobs: Sequence[Job], callers: int) -> float:
    """Answer all jobs, `callers` at a time; the seconds it took."""
    waiting = iter(jobs)

    async def call() -> None:
        for job in waiting:
            answer = await engine.submit(job, timeout=600)
            assert answer.answer is not None, answer.failure

    started = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="Newcomers in a prefill: throughput and pace.")
    parser.add_argument("model")
    parser.add_argument("--weights", type=Path, help="a directory; default: the sample weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--prefill", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load(options.model, options.weights or SAMPLES / options.model, device=options.device, dtype="auto")
    words = prompts.caption(options.model)
    print(
        "| newcomers at most | captions/s | rows a step | step to step, median ms | p99 ms | first token, median ms |"
    )
    print("|---|---|---|---|---|---|")
    for number, most in enumerate([options.prefill[0], *options.prefill]):  # the first run warms up and is not shown
        jobs = [Job(Task.CAPTION, (data,), words, 50) for data, _ in drawn(options.pictures, seed=number)]
        pace = Pace()
        limits = EngineLimits(queue=10_000, rows=32, cost=10**9, prefill=most)
        engine = Engine(model, limits, observer=pace)
        seconds = asyncio.run(drive(engine, jobs, options.callers))
        engine.close()
        if not number:
            continue
        cuts = statistics.quantiles(pace.gaps(), n=100)
        figures = (
            f"{len(jobs) / seconds:.0f}",
            f"{statistics.mean(pace.rows):.1f}",
            *(f"{value * 1000:.1f}" for value in (cuts[49], cuts[98], statistics.median(pace.first_tokens))),
        )
        print(f"| {most} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
