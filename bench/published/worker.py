"""One model in one dtype, in a process of its own, whose memory is measured: prints a line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import random
import resource
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from looksee.core.tasks import Job, Task
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.models.loading import load
from looksee.models.registry import REGISTRY, prompts

SIZE = (640, 480)  # pixels: one tile for InternVL3, as below, and one crop for Moondream2
_OPTIONS: dict[str, dict[str, Any]] = {"intern_vlm": {"max_tiles": 1}}
_TIMEOUT = 3600.0  # seconds


def picture(number: int) -> bytes:
    """Noise as a JPEG file; another number gives another picture."""
    file = io.BytesIO()
    Image.frombytes("RGB", SIZE, random.Random(number).randbytes(SIZE[0] * SIZE[1] * 3)).save(file, "JPEG")
    return file.getvalue()


def loaded(name: str, directory: Path, *, device: str, dtype: str) -> Any:
    """The model as the service loads published weights; every caption of it runs to its limit."""
    options = REGISTRY[name].settings().options(sample=False) | _OPTIONS.get(name, {})
    model: Any = load(name, directory, device=device, dtype=dtype, **options)
    if hasattr(model, "eos_ids"):  # Moondream2's random weights end an answer once in 51,200 tokens
        model.eos_ids = frozenset()
    return model


async def answered(engine: Engine[Any, Any], jobs: Sequence[Job], callers: int) -> list[float]:
    """The seconds of each job, `callers` at a time."""
    waiting, times = iter(jobs), list[float]()

    async def call() -> None:
        for job in waiting:
            started = time.perf_counter()
            reply = await engine.submit(job, timeout=_TIMEOUT)
            assert reply.answer is not None, reply.failure
            times.append(time.perf_counter() - started)

    await asyncio.gather(*(call() for _ in range(callers)))
    return times


def measure(name: str, model: Any, *, callers: Sequence[int], each: int, tokens: int) -> list[dict[str, Any]]:
    """`each` captions a caller, of `tokens` tokens: pictures a second, and the median seconds of a caption."""
    words, numbers = prompts.caption(name), itertools.count()
    engine: Engine[Any, Any] = Engine(model, EngineLimits(queue=1000, rows=32, cost=10**9, prefill=8))

    def jobs(count: int) -> list[Job]:
        return [Job(Task.CAPTION, (picture(next(numbers)),), words, tokens) for _ in range(count)]

    asyncio.run(answered(engine, jobs(1), 1))  # what libraries do when they first run
    found = []
    for count in callers:
        asked = jobs(count * each)
        started = time.perf_counter()
        times = asyncio.run(answered(engine, asked, count))
        seconds = time.perf_counter() - started
        found.append({"callers": count, "rate": len(asked) / seconds, "seconds": statistics.median(times)})
    engine.close()
    return found


def peak() -> float:
    """GiB that this process has had in memory at most, with what it read of a mapped file."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--callers", type=int, nargs="+", required=True)
    parser.add_argument("--each", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    model = loaded(options.model, options.directory, device=options.device, dtype=options.dtype)
    seconds = time.perf_counter() - started
    loads = measure(options.model, model, callers=options.callers, each=options.each, tokens=options.tokens)
    print(json.dumps({"load_seconds": seconds, "loads": loads, "peak_gib": peak()}), flush=True)


if __name__ == "__main__":
    main()
