"""Decode steps of some rows, greedily, behind a context as if it had been read."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

import torch

from bench.gpu.subjects import BenchSubject
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.graphs import CudaGraphs, NoGraphs
from looksee.models.core.pending import PendingTokens
from looksee.models.core.step_runner import StepRunner
from looksee.models.interface import Row


@dataclass(slots=True)
class Decoded:
    """`tokens[step][row]`, and the seconds of each step."""

    tokens: list[list[int]]
    seconds: list[float]


@dataclass(frozen=True, slots=True)
class Way:
    """How steps are made. `ahead`: each is launched before the host has read the tokens of the one before."""

    runner: StepRunner
    ahead: bool = False


def ways(subject: BenchSubject, device: torch.device) -> dict[str, Way]:
    """By their names: eager, over fixed buffers, those captured where the device is a CUDA device, and these ahead."""
    graphs: dict[str, NoGraphs | None] = {"eager": None, "static": NoGraphs()}
    if device.type == "cuda":
        graphs["captured"] = CudaGraphs(device)
    found = {
        name: Way(StepRunner(subject.decoder, device=device, dtype=subject.cache_dtype, graphs=one))
        for name, one in graphs.items()
    }
    found["ahead"] = Way(list(found.values())[-1].runner, ahead=True)
    return found


@torch.inference_mode()
def decode(subject: BenchSubject, way: Way, rows: int, length: int, steps: int) -> Decoded:
    """`steps` steps of `rows` rows whose first `length` positions are noise, each from a first token of its own."""
    torch.manual_seed(rows)
    decoder, runner = subject.decoder, way.runner
    device = runner.storage.device
    cache = BatchCache(runner.storage, rows, length + steps)
    for layer in range(decoder.shape.layers):
        kept = cache.span().layer(layer)[:, :, :length]
        # Drawn in one order on every device and in every layout, so that all ways have the same numbers.
        kept.copy_(torch.randn(kept.shape, device=device))
        if decoder.shape.cross_length:
            cross = cache.span().cross(layer)
            cross.copy_(torch.randn(cross.shape, device=device))
    found = Decoded([], [])
    pending: deque[PendingTokens[Row]] = deque()
    ids = torch.tensor([100 + row for row in range(rows)], device=device)
    for number in range(steps):
        started = time.perf_counter()
        hidden = runner.step(cache, decoder.embed(ids[:, None]), [length + number] * rows)
        ids = decoder.logits(hidden).argmax(-1)
        pending.append(PendingTokens([], ids))
        if len(pending) > way.ahead:
            found.tokens.append(_read(pending))
        if not way.ahead:
            ids = torch.tensor(found.tokens[-1], device=device)
        found.seconds.append(time.perf_counter() - started)
    if pending:
        found.tokens.append(_read(pending))
    return found


def _read(pending: deque[PendingTokens[Row]]) -> list[int]:
    return [-1 if token is None else token for token in pending.popleft().read()]


def same(one: Decoded, other: Decoded) -> float:
    """The part of the rows whose tokens are all the same."""
    rows = [list(row) for row in zip(*one.tokens, strict=True)]
    others = [list(row) for row in zip(*other.tokens, strict=True)]
    return sum(a == b for a, b in zip(rows, others, strict=True)) / len(rows)
