"""How a Moondream learns to tell places: a bin of a coordinate or a size is right, and its neighbours nearly so."""

from __future__ import annotations

import torch
from torch import Tensor

from looksee.models.moondream.network.region import RegionModel

_SOFT_COORDINATE, _SOFT_SIZE = 2.0, 1.5  # bins within which neighbours count
_NEAR_COORDINATE, _NEAR_SIZE = 0.03, 0.2  # of the picture's side; octaves

Judged = tuple[Tensor, Tensor]  # a loss, and which of the places are near the right ones (n,)


def coordinates(region: RegionModel, hidden: Tensor, values: Tensor) -> Judged:
    """What `hidden` (n, width) tells, judged by the right `values` (n,)."""
    bins = region.config.coord_out_dim
    return _judged(region.coordinate_logits(hidden), values * bins, _SOFT_COORDINATE, _NEAR_COORDINATE * bins)


def sizes(region: RegionModel, hidden: Tensor, values: Tensor) -> Judged:
    """What `hidden` (n, width) tells, judged by the right widths and heights, `values` (n, 2)."""
    octave = -1 / torch.log2(torch.tensor(region.size(0))) * (region.config.size_out_dim // 2 - 1)  # in bins
    wanted = region.config.size_out_dim // 2 - 1 + torch.log2(values) * octave
    loss, near = _judged(region.size_logits(hidden), wanted, _SOFT_SIZE, _NEAR_SIZE * float(octave))
    return loss, near.all(-1)


def _judged(logits: Tensor, wanted: Tensor, softness: float, near: float) -> Judged:
    """`logits` (..., bins) by the bins `wanted` (...), which may lie between two."""
    off = torch.arange(logits.shape[-1]) - wanted[..., None]
    soft = (-((off / softness) ** 2) / 2).softmax(-1)
    loss = (soft * (soft.clamp(min=1e-12).log() - logits.log_softmax(-1))).sum(-1).mean()  # 0 is the best there is
    return loss, (logits.argmax(-1) - wanted).abs() <= near
