"""Moondream2 at its published size, with random weights: how long loading and each part of an answer take, and memory.

    python -m bench.full_size --directory /tmp/stand-in

Writes 3.9 GB into the directory, loads them as the service does, and answers each kind of question about one picture,
and a second question about it. The file stays, for the next run.
"""

from __future__ import annotations

import argparse
import functools
import gc
import io
import random
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from bench.stand_ins import moondream as stand_in
from looksee.core.tasks import Job, Task
from looksee.models.linears.replacing import weight_bytes
from looksee.models.loading import load
from looksee.models.moondream.config import Config

_SIZE = (1200, 600)  # pixels: one local crop or two side by side, as are allowed
_OBJECTS = 3


class Watch:
    """The seconds spent in some of an object's methods, and how often they were called."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def over(self, owner: Any, *names: str) -> None:
        for name in names:
            setattr(owner, name, self._timed(name, getattr(owner, name)))

    def forget(self) -> None:
        self.seconds.clear()
        self.calls.clear()

    def _timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = call(*arguments, **named)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds[name] += time.perf_counter() - started
            self.calls[name] += 1
            return result

        return timed


def picture() -> bytes:
    noise = random.Random(3).randbytes(_SIZE[0] * _SIZE[1] * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", _SIZE, noise).save(file, "JPEG")
    return file.getvalue()


def jobs(tokens: int) -> dict[str, Job]:
    data = (picture(),)
    return {
        "caption": Job(Task.CAPTION, data, max_new_tokens=tokens),
        "query": Job(Task.QUERY, data, "What is this?", tokens),
        "detect": Job(Task.DETECT, data, "word", max_objects=_OBJECTS),
        "point": Job(Task.POINT, data, "word", max_objects=_OBJECTS),
    }


def peak() -> float:
    """GiB that this process has had in memory at most; the file that was read is part of it as far as it was mapped."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def answers(model: Any, tokens: int) -> None:
    """Answer all; print a table."""
    watch = Watch()
    watch.over(model.encoder, "crop_features")
    watch.over(model.net, "image_prefixes")
    watch.over(model, "prepare", "prefill", "step", "sample")
    print("| asked | crops | prepare s | crop s | picture s | prefill s | tokens | step s | read-out s | total s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, job in jobs(tokens).items():
        watch.forget()
        started = time.perf_counter()
        row = model.prepare(job)
        crops = len(row.image.crops(model.config.vision).pixels) if row.image.digest not in model.prefixes else 0
        batch = model.prefill([row])
        while row.finish is None:
            model.step(batch)
            model.sample(batch)
        outcome = model.answer(row)
        total, spent = time.perf_counter() - started, watch.seconds
        figures = (
            f"{spent['prepare']:.2f}",
            f"{spent['crop_features'] / crops:.2f}" if crops else "",
            f"{spent['image_prefixes']:.2f}" if crops else "",
            f"{spent['prefill']:.2f}",
            f"{outcome.new_tokens}",
            f"{spent['step'] / watch.calls['step']:.3f}",
            f"{spent['sample'] / watch.calls['sample']:.3f}",
            f"{total:.2f}",
        )
        print(f"| {name} | {crops or 'kept'} | {' | '.join(figures)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Moondream2 at its published size, with random weights.")
    parser.add_argument("--directory", type=Path, required=True, help="where the weights are written, if they are not")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--max-crops", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--tokens", type=int, default=20, help="of a caption and of an answer")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.directory.mkdir(parents=True, exist_ok=True)
    if not (options.directory / "model.safetensors").exists():
        started = time.perf_counter()
        size = stand_in.write(options.directory, Config())
        print(f"wrote {size:,} bytes in {time.perf_counter() - started:.0f} s", flush=True)
    for most in options.max_crops:
        started = time.perf_counter()
        model: Any = load("moondream", options.directory, device=options.device, dtype=options.dtype, max_crops=most)
        seconds = time.perf_counter() - started
        size = weight_bytes(model)
        print(f"\nmax_crops {most}: {size:,} bytes of weights, {model.net.dtype} on {model.net.device}, ", end="")
        print(f"{options.threads} threads; loaded in {seconds:.1f} s; peak {peak():.1f} GiB\n", flush=True)
        answers(model, options.tokens)
        print(f"\npeak {peak():.1f} GiB", flush=True)
        if model.net.device.type == "cuda":
            print(f"on the device {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
        del model
        gc.collect()


if __name__ == "__main__":
    main()
