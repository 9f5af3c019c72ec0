"""A linear layer whose weight is in a layout of oneDNN's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """In the place of an `nn.Linear`: (..., inputs) to (..., outputs), in the same dtype.

    `weight` is empty and has that dtype, which code of transformers asks for; it keeps nothing of the original's.
    `packed` is an opaque tensor, no parameter: it cannot be moved or saved.
    """

    packed: Tensor
    bias: Tensor | None

    def __init__(self, source: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = source.in_features, source.out_features
        self.weight = nn.Parameter(source.weight.new_empty(0), requires_grad=False)
        self.bias = None if source.bias is None else nn.Parameter(source.bias.detach(), requires_grad=False)

    @property
    def packed_bytes(self) -> int:
        """What the weight takes, without the bias."""
        return self.packed.nbytes

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def operator(namespace: str, name: str) -> Any:
    """One of torch's own operators, or None where this torch has none of that name."""
    packet = getattr(getattr(torch.ops, namespace), name, None)
    return getattr(packet, "default", None)
