"""Attention masks: True where a query (second axis) attends to a key (last axis). Padding is behind a row's end.

So no query of a row attends to padding, whose keys are later, and what a padded query reads is of no account.
"""

from __future__ import annotations

import torch
from torch import Tensor


def causal(positions: Tensor, length: int, window: int | None = None) -> Tensor:
    """(rows, fed, length) bool: what `positions` (rows, fed) attend to of slots 0 to `length` - 1.

    With a `window`, only the latest so many positions, their own included.
    """
    slots = torch.arange(length, device=positions.device)
    attended = slots <= positions[:, :, None]
    return attended if window is None else attended & (slots > positions[:, :, None] - window)


def same_image(is_image: Tensor) -> Tensor:
    """(rows, length, length) bool: pairs of tokens of one image.

    `is_image` (rows, length) bool marks image tokens; consecutive ones belong to one image.
    """
    follows = torch.zeros_like(is_image)
    follows[:, 1:] = is_image[:, :-1]
    number = (is_image & ~follows).cumsum(-1).masked_fill_(~is_image, 0)
    return (number[:, :, None] == number[:, None, :]) & is_image[:, :, None]


def prefix_lm(is_image: Tensor, window: int | None = None) -> Tensor:
    """(rows, length, length) bool: causal, and bidirectional within each image.

    With a `window`, without keys that are so many positions or more before their query.
    """
    positions = torch.arange(is_image.shape[1], device=is_image.device)
    attended = same_image(is_image).logical_or_(positions <= positions[:, None])
    return attended if window is None else attended & (positions > positions[:, None] - window)


def additive(attended: Tensor, dtype: torch.dtype) -> Tensor:
    """`attended` (rows, queries, keys) as (rows, 1, queries, keys) of `dtype`: 0, or minus infinity where False.

    Attention kernels add it as it is; a bool mask would be converted to this form again in every layer.
    """
    mask = torch.zeros(attended.shape, device=attended.device, dtype=dtype)
    return mask.masked_fill_(~attended, -torch.inf)[:, None]
