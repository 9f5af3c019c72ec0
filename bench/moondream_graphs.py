"""Decode steps of Moondream2 at its published size with and without CUDA graphs.

    python -m bench.moondream_graphs

Needs torch, NumPy and Pillow only. Random weights, and keys and values of a context that are random too. For each
number of rows it decodes greedily in plain steps, in steps over static buffers, and, on a CUDA device, with those
captured; ends with status 1 if a graph's tokens are not those of the same steps without it. Plain steps have
other shapes, so other roundings: in bfloat16 their tokens part from the others' where two are almost as likely.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench import stand_in
from looksee.models.moondream.config import Config
from looksee.models.moondream.decoding.batch_cache import BatchedKVCache, KVStorage
from looksee.models.moondream.decoding.step_runner import CudaGraphRunner, EagerStepRunner, StaticStepRunner
from looksee.models.moondream.network.cache import in_blocks
from looksee.models.moondream.network.network import Network
from looksee.models.moondream.sequence_items import SequenceItem

Step = Callable[[list[SequenceItem], list[int]], Tensor]  # items and their positions to hidden states (rows, width)


@dataclass(slots=True)
class Decoded:
    """`tokens[step][row]`, and the seconds of each step."""

    tokens: list[list[int]]
    seconds: list[float]


def context(net: Network, rows: int, length: int) -> BatchedKVCache:
    """A cache as if `length` positions had been read."""
    torch.manual_seed(rows)
    storage = KVStorage(net.config.text, rows, in_blocks(length), device=net.device, dtype=net.cache_dtype)
    for layer in storage.layers:
        layer[:, :, :, :length].normal_()
    return BatchedKVCache(storage, rows)


def plain(net: Network, cache: BatchedKVCache) -> Step:
    def step(items: list[SequenceItem], positions: list[int]) -> Tensor:
        cache.grow(in_blocks(max(positions) + 1))
        return net.extend([[item] for item in items], positions, cache.view())[:, 0]

    return step


def static(steps: StaticStepRunner, cache: BatchedKVCache) -> Step:
    adopted = steps.adopt(cache)
    assert adopted is not None  # there is no other batch
    return lambda items, positions: steps.step(adopted, items, positions)


@torch.inference_mode()
def decode(net: Network, step: Step, rows: int, length: int, steps: int) -> Decoded:
    """Greedily, each row from a first token of its own."""
    found = Decoded([], [])
    latest: list[SequenceItem] = [100 + row for row in range(rows)]
    for number in range(steps):
        started = time.perf_counter()
        hidden = step(latest, [length + number] * rows)
        tokens: list[int] = net.text.logits(hidden).argmax(-1).tolist()
        found.seconds.append(time.perf_counter() - started)
        found.tokens.append(tokens)
        latest = [*tokens]
    return found


def same(one: Decoded, other: Decoded) -> float:
    """The part of the rows whose tokens are all the same."""
    rows = [list(row) for row in zip(*one.tokens, strict=True)]
    others = [list(row) for row in zip(*other.tokens, strict=True)]
    return sum(a == b for a, b in zip(rows, others, strict=True)) / len(rows)


def shown(decoded: Decoded) -> str:
    """Median and slowest step; the slowest has a capture in it, where there are graphs."""
    median = statistics.median(decoded.seconds)
    return f"{1 / median:.1f} | {median * 1000:.2f} | {max(decoded.seconds) * 1000:.0f}"


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description="Decode steps with and without CUDA graphs.")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 3, 4, 8, 16, 20, 32])
    parser.add_argument("--length", type=int, default=740, help="positions that each row begins behind")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--layers", type=int, default=Config().text.n_layers, help="fewer, to try it without a GPU")
    options = parser.parse_args()
    device = torch.device(options.device)
    config = replace(Config(), text=replace(Config().text, n_layers=options.layers))
    net = stand_in.network(config, device=device, dtype=getattr(torch, options.dtype))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(
        f"{name}, {options.dtype}, torch {torch.__version__}, {options.layers} layers, from position {options.length}\n"
    )
    print("| rows | steps | steps/s | median ms | slowest ms | same rows | device GiB |")
    print("|---|---|---|---|---|---|---|")
    ways: dict[str, StaticStepRunner | None] = {"plain": None, "static": StaticStepRunner(net, EagerStepRunner())}
    if device.type == "cuda":
        ways["graphs"] = StaticStepRunner(net, CudaGraphRunner(device))
    different = False
    for rows in options.rows:
        before: Decoded | None = None
        for way, steps in ways.items():
            cache = context(net, rows, options.length)
            step = plain(net, cache) if steps is None else static(steps, cache)
            del cache
            decoded = decode(net, step, rows, options.length, options.steps)
            del step
            alike = same(before, decoded) if before else 1.0
            different |= way == "graphs" and alike < 1
            memory = torch.cuda.memory_reserved(device) / 2**30 if device.type == "cuda" else 0
            print(
                f"| {rows} | {way} | {shown(decoded)} | {f'{alike:.0%}' if before else ''} | {memory:.1f} |", flush=True
            )
            before = decoded
    if different:
        sys.exit("a graph's tokens are not those of the same steps without it")


if __name__ == "__main__":
    main()
