"""How sure the model is of a box or a point: that there is one more, and that it lies there.

Each number of a place is the likeliest of 1024 bins. A bin's own probability says little: a head that was taught
softly, or that sees an edge between two bins, has the mass on several neighbours. So what counts is the mass of the
bins near the chosen one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NEAR_COORDINATE = 10  # bins, 1 % of the picture's side
NEAR_SIZE = 10  # bins, a tenth of an octave


def likeliest_bins(logits: Tensor, near: int) -> list[tuple[int, float] | None]:
    """The likeliest bin of each row of `logits` (rows, bins), and the probability of it and its `near` neighbours.

    None for a row whose logits are not finite. One transfer where they are on a device.
    """
    best, chosen = logits.max(-1)
    below = functional.pad(logits.float().softmax(-1).cumsum(-1), (1, 0))
    last = (chosen + near + 1).clamp(max=logits.shape[-1])
    first = (chosen - near).clamp(min=0)
    mass = below.gather(-1, last[:, None]) - below.gather(-1, first[:, None])
    told = torch.stack([chosen.float().where(best.isfinite(), -1), mass[:, 0]], dim=-1).tolist()
    return [(int(index), min(1.0, max(0.0, chance))) if index >= 0 else None for index, chance in told]


def goes_on(logits: Tensor, end: int) -> list[float]:
    """The probability of another token than `end`, for each row of `logits` (rows, vocabulary)."""
    logits = logits.float()
    found: list[float] = torch.expm1(logits[:, end] - logits.logsumexp(-1)).neg().clamp(0, 1).tolist()
    return found
