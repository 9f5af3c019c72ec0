"""What a device can do, measured: bytes copied and products computed a second; and what a pass needs of these."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from looksee.models.core.decoder import Decoder

_ROUNDS = 10
# Tables of which a step reads a row for each of the batch: nothing beside the matrices.
_TABLES = ("words.weight", "positions.weight", "wte")


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """`bandwidth` in bytes a second, read and written together; `products` in floating-point operations a second."""

    bandwidth: float
    products: float


def measure(device: torch.device, dtype: torch.dtype) -> DeviceLimits:
    """By copying a large tensor, and by multiplying two large matrices of `dtype`."""
    large = device.type == "cuda"
    source = torch.empty(2**30 if large else 2**28, device=device, dtype=torch.uint8).fill_(1)
    target = torch.empty_like(source)
    copied = seconds(lambda: target.copy_(source), device)
    side = 8192 if large else 1024
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    multiplied = seconds(lambda: one @ other, device)
    return DeviceLimits(2 * source.nbytes / copied, 2 * side**3 / multiplied)


def seconds(run: Callable[[], object], device: torch.device, rounds: int = _ROUNDS) -> float:
    """The median of some rounds, after one that is not counted."""
    times = []
    for number in range(rounds + 1):
        synchronise(device)
        started = time.perf_counter()
        run()
        synchronise(device)
        if number:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def operations(run: Callable[[], object]) -> int:
    """The floating-point operations of products and attention in `run`, which is run once."""
    with FlopCounterMode(display=False) as counter:
        run()
    total: int = counter.get_total_flops()
    return total


def weight_bytes(decoder: Decoder) -> int:
    """The bytes of the weights that a step reads, each once. A table that is the head too is read as the head."""
    read: dict[int, nn.Parameter] = {}
    for name, parameter in decoder.named_parameters(remove_duplicate=False):
        if name not in _TABLES:
            read[id(parameter)] = parameter
    return sum(parameter.nbytes for parameter in read.values())


def step_bytes(decoder: Decoder, rows: int, length: int, dtype: torch.dtype) -> int:
    """The least that a step of `rows` rows of `length` positions reads: weights once, and the rows' keys and values."""
    return weight_bytes(decoder) + rows * decoder.shape.row_bytes(length, dtype)
