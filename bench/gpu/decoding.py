"""Decode steps of some rows, greedily, behind a context as if it had been read."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from bench.gpu.subjects import BenchSubject
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.graphs import CudaGraphs, NoGraphs
from looksee.models.core.step_runner import StepRunner


@dataclass(slots=True)
class Decoded:
    """`tokens[step][row]`, and the seconds of each step."""

    tokens: list[list[int]]
    seconds: list[float]


def runners(subject: BenchSubject, device: torch.device) -> dict[str, StepRunner]:
    """The ways to step by their names: eager, over fixed buffers, and, on a CUDA device, those captured."""
    graphs: dict[str, NoGraphs | None] = {"eager": None, "static": NoGraphs()}
    if device.type == "cuda":
        graphs["captured"] = CudaGraphs(device)
    return {
        way: StepRunner(subject.decoder, device=device, dtype=subject.cache_dtype, graphs=one)
        for way, one in graphs.items()
    }


@torch.inference_mode()
def decode(subject: BenchSubject, runner: StepRunner, rows: int, length: int, steps: int) -> Decoded:
    """`steps` steps of `rows` rows whose first `length` positions are noise, each from a first token of its own."""
    torch.manual_seed(rows)
    decoder, device = subject.decoder, runner.storage.device
    cache = BatchCache(runner.storage, rows, length + steps)
    for layer in range(decoder.shape.layers):
        kept = cache.span().layer(layer)[:, :, :length]
        # Drawn in one order on every device and in every layout, so that all ways have the same numbers.
        kept.copy_(torch.randn(kept.shape, device=device))
        if decoder.shape.cross_length:
            cross = cache.span().cross(layer)
            cross.copy_(torch.randn(cross.shape, device=device))
    found = Decoded([], [])
    latest = [100 + row for row in range(rows)]
    for number in range(steps):
        started = time.perf_counter()
        embeddings = decoder.embed(torch.tensor(latest, device=device)[:, None])
        hidden = runner.step(cache, embeddings, [length + number] * rows)
        latest = decoder.logits(hidden).argmax(-1).tolist()
        found.seconds.append(time.perf_counter() - started)
        found.tokens.append(latest)
    return found


def same(one: Decoded, other: Decoded) -> float:
    """The part of the rows whose tokens are all the same."""
    rows = [list(row) for row in zip(*one.tokens, strict=True)]
    others = [list(row) for row in zip(*other.tokens, strict=True)]
    return sum(a == b for a, b in zip(rows, others, strict=True)) / len(rows)
