"""Linear layers of 8 bits: weights once, activations as they come, products summed in integers by oneDNN.

Each output channel of a weight has a scale of its own, and so has each token. Sums of integers are exact and a token's
scale is its own, so a row's result does not depend on the rows that share its batch. Activations are unsigned, around
128: with signed ones oneDNN falls back to its slow reference code where the CPU has no AMX.

The two operators are torch's own, of which Inductor makes use; they are not public, so a test pins what they do.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from looksee.models.linears.packed import PackedLinear, operator

logger = logging.getLogger("looksee.models")

MOST_ERROR = 0.02  # of a layer's result, relative; below 0.01 where the kernels are right, and 0.12 where sums saturate
_LARGEST = 127  # of a weight, and of an activation's distance from _ZERO
_ZERO = 128
_SMALLEST_SCALE = 1e-30  # of a channel or token that is all zeros

_prepack = operator("onednn", "qlinear_prepack")
_linear = operator("onednn", "qlinear_pointwise")


class Int8Linear(PackedLinear):
    """A linear layer of 8 bits on a CPU, for activations of any float dtype. Results are off by less than 1 %."""

    scales: Tensor
    zeros: Tensor

    @torch.no_grad()
    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source)
        weight = source.weight.detach().float()
        least, most = weight.aminmax(dim=1)
        scales = torch.maximum(most, -least).div_(_LARGEST).clamp_min_(_SMALLEST_SCALE)
        self.packed = _prepack((weight / scales[:, None]).round_().to(torch.int8), None)
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int64), persistent=False)
        if self.bias is not None:
            self.bias = nn.Parameter(self.bias.float(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, self.in_features).float()
        scales = tokens.abs().amax(1, keepdim=True).div_(_LARGEST).clamp_min_(_SMALLEST_SCALE)
        # Adding a half rounds: what follows cuts off, and all numbers are positive.
        quantised = tokens.div(scales).add_(_ZERO + 0.5).to(torch.uint8)
        y: Tensor = _linear(
            quantised, 1.0, _ZERO, self.packed, self.scales, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        y = y.mul_(scales) if self.bias is None else torch.addcmul(self.bias, y, scales)
        return y.to(x.dtype).view(*x.shape[:-1], self.out_features)


def available() -> bool:
    """Whether this torch has the operators."""
    return None not in (_prepack, _linear)


@functools.cache
def pays(dtype: torch.dtype) -> bool:
    """Whether a layer of 8 bits is right on this CPU, and faster for one row than a plain one of `dtype`.

    Tried once in a process, for about a tenth of a second, with a layer of 16 MiB in float32.
    """
    source = nn.Linear(1024, 4096, bias=False)
    generator = torch.Generator().manual_seed(0)
    # Even up to the largest: without VNNI or AMX sums of two products saturate at 16 bits, which smaller ones do not.
    weight = torch.empty(4096, 1024).uniform_(-1, 1, generator=generator)
    source.weight = nn.Parameter(weight, requires_grad=False)
    x = torch.randn(1, 1024, generator=generator)
    with torch.inference_mode():
        expected = functional.linear(x, source.weight)
        try:
            layer = Int8Linear(source)
            error = float((layer(x) - expected).norm() / expected.norm())
        except RuntimeError as failure:  # a processor for which oneDNN has no such product
            logger.warning("no int8 linear layers on this CPU: %s", failure)
            return False
        if not error < MOST_ERROR:
            logger.warning("no int8 linear layers: on this CPU their error is %.1f %%", 100 * error)
            return False
        plain, few = source.weight.to(dtype), x.to(dtype)
        runs: list[Callable[[], object]] = [lambda: layer(few), lambda: functional.linear(few, plain)]
        seconds = [[_seconds(run) for run in runs] for _ in range(5)]
    own, others = (min(times) for times in zip(*seconds, strict=True))
    if own >= others:
        logger.warning(
            "no int8 linear layers: on this CPU one takes %.2f ms for a row, a plain one %.2f", 1e3 * own, 1e3 * others
        )
    return bool(own < others)


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
