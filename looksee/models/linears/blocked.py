"""bfloat16 weights laid out for oneDNN once. A plain `nn.Linear` has them laid out anew at each call.

The two operators are torch's own, of which Inductor makes use; they are not public, so a test pins what they do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from looksee.models.linears.packed import PackedLinear, operator

_ROWS = 64  # rows of the calls that the layout is made for; it fits others too

_reorder = operator("mkldnn", "_reorder_linear_weight")
_linear = operator("mkldnn", "_linear_pointwise")


class BlockedLinear(PackedLinear):
    """A linear layer of bfloat16 on a CPU."""

    @torch.no_grad()
    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source)
        self.packed = _reorder(source.weight.detach(), _ROWS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = _linear(x, self.packed, self.bias, "none", [], "")
        return y


def available() -> bool:
    """Whether this torch has the operators, and they work on this CPU."""
    if None in (_reorder, _linear):
        return False
    try:
        _reorder(torch.zeros(1, 1, dtype=torch.bfloat16), _ROWS)
    except RuntimeError:  # as it is where only AVX2 may be used
        return False
    return True
