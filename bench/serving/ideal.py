"""What the models could do without serving: whole batches in one process, while a thread prepares the next ones.

A process of its own: each line of its input asks for a measurement, each line of its output is one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from bench.pictures import Picture, drawn
from bench.serving import functions


def measure(name: str, model: Any, pictures: Sequence[Picture], rows: int) -> dict[str, Any]:
    """The figures of a load for batches of `rows` rows: seconds in all, and of a picture from its preparation on."""
    jobs = functions.caption_jobs(name, [data for data, _ in pictures])
    groups = [jobs[first : first + rows] for first in range(0, len(jobs), rows)]
    texts: list[str] = []
    times: list[float] = []

    def prepared(group: Sequence[Any]) -> tuple[float, list[Any]]:
        return time.perf_counter(), [model.prepare(job) for job in group]

    started = time.perf_counter()
    with ThreadPoolExecutor(1) as preparing:
        waiting = preparing.submit(prepared, groups[0])
        for number in range(len(groups)):
            begun, batch = waiting.result()
            if number + 1 < len(groups):
                waiting = preparing.submit(prepared, groups[number + 1])
            texts += functions.decoded(model, batch, most=rows)
            times += [time.perf_counter() - begun] * len(batch)
    seconds = time.perf_counter() - started
    right = sum(text == caption for text, (_, caption) in zip(texts, pictures, strict=True))
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
    return {"items": len(texts), "right": right, "seconds": seconds, "p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = functions.own(options.model)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        pictures = drawn(asked["count"], asked["seed"])
        print(json.dumps(measure(options.model, model, pictures, asked["rows"])), flush=True)


if __name__ == "__main__":
    main()
