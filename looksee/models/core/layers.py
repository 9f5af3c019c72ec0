"""Parts of decoder layers: linear layers that were several, and what they are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer with these tensors themselves: (..., inputs) to (..., outputs)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta", dtype=weight.dtype)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer


def fused(parts: Sequence[nn.Linear]) -> nn.Linear:
    """One linear layer whose outputs are those of `parts`, one behind the other: one product instead of several.

    The parts' own weights are copied; whoever drops the parts frees them.
    """
    biases = [part.bias.detach() for part in parts if part.bias is not None]
    if biases and len(biases) != len(parts):
        raise ValueError("either all parts have a bias or none")
    return linear(torch.cat([part.weight.detach() for part in parts]), torch.cat(biases) if biases else None)
