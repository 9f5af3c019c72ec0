"""What the text, vision and region models share. Every GELU is the tanh approximation, every LayerNorm's eps 1e-5."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-5  # also in the vision tower, where SigLIP has 1e-6


class Mlp(nn.Module):
    """Two linears with a GELU between: (..., `width`) to (..., `out`)."""

    def __init__(self, width: int, inner: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, out)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))
        return y


def split_heads(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, each (rows, heads, length, head width), of (rows, length, 3 * width): thirds."""
    rows, length, width = qkv.shape
    q, k, v = qkv.view(rows, length, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4)
    return q, k, v


def merge_heads(x: Tensor) -> Tensor:
    """(rows, heads, length, head width) as (rows, length, width)."""
    return x.transpose(1, 2).flatten(2)
