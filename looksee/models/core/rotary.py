"""Rotary positions (Su et al. 2021, arXiv:2104.09864), halves of a head turned against each other."""

from __future__ import annotations

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]  # cosines, and sines whose first half is negative: (rows, fed, 1, rotated width)


def rotation(positions: Tensor, frequencies: Tensor, dtype: torch.dtype) -> Rotation:
    """The rotation of `positions` (rows, fed) by `frequencies` (rotated width / 2) float32, in `dtype`.

    Computed anew in each pass: a table of all positions of a long context has hundreds of megabytes.
    """
    angles = (positions[..., None].float() * frequencies)[:, :, None]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], dim=-1).to(dtype), torch.cat([-sin, sin], dim=-1).to(dtype)


def rotate_(x: Tensor, by: Rotation) -> Tensor:
    """Turn `x` (rows, fed, heads, rotated width) in place, in the rotation's dtype."""
    cos, sin = by
    turned = x.roll(cos.shape[-1] // 2, dims=-1)
    if x.dtype == cos.dtype:
        return x.mul_(cos).addcmul_(turned, sin)
    return torch.addcmul(x * cos, turned, sin, out=x)
