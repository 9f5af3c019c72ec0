"""Layers shared by the text, vision and region models. Every GELU is the tanh approximation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from looksee.models.arithmetic import machine

EPS = 1e-5  # of every LayerNorm; also in the vision tower, where SigLIP has 1e-6


class Mlp(nn.Module):
    """Linear, GELU, linear: (..., `width`) to (..., `out`)."""

    def __init__(self, width: int, inner: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, out)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))
        return y


def attention_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """The dtype of the text model's attention, keys and values, for weights of `dtype`.

    On a CPU it is float32, but bfloat16 with AMX: without, torch's kernels of fewer bits take five to eight times as
    long for a single position.
    """
    if device.type != "cpu" or (dtype == torch.bfloat16 and machine.amx()):
        return dtype
    return torch.float32


def split_heads(x: Tensor, parts: int, heads: int) -> Tensor:
    """(rows, length, parts * width) as (parts, rows, heads, length, head width); a part is queries, keys or values."""
    rows, length, width = x.shape
    return x.view(rows, length, parts, heads, width // (parts * heads)).permute(2, 0, 3, 1, 4)


def merge_heads(x: Tensor) -> Tensor:
    """(rows, heads, length, head width) as (rows, length, width)."""
    return x.transpose(1, 2).flatten(2)
