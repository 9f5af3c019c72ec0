"""Attention masks of left-padded rows: True where a query (second axis) attends to a key (last axis)."""

from __future__ import annotations

import torch
from torch import Tensor


def same_image(is_image: Tensor) -> Tensor:
    """(rows, length, length) bool: pairs of tokens of one image.

    `is_image` (rows, length) bool marks image tokens; consecutive ones belong to one image.
    """
    follows = torch.zeros_like(is_image)
    follows[:, 1:] = is_image[:, :-1]
    number = (is_image & ~follows).cumsum(-1).masked_fill_(~is_image, 0)
    return (number[:, :, None] == number[:, None, :]) & is_image[:, :, None]


def prefix_lm(mask: Tensor, is_image: Tensor) -> Tensor:
    """(rows, length, length) bool: causal, and bidirectional within each image.

    `mask` (rows, length) is 0 where a row is padded. A padded position attends to itself and nothing else: the result
    of attention over no keys differs from kernel to kernel, and a NaN in a padded position's values would spread to the
    whole row, since 0 times NaN is NaN.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    attended = same_image(is_image).logical_or_(positions <= positions[:, None]).logical_and_(mask[:, None].bool())
    return attended.logical_or_(positions == positions[:, None])


def sliding(attended: Tensor, window: int) -> Tensor:
    """`attended` (rows, length, length) without keys that are `window` positions or more before their query."""
    positions = torch.arange(attended.shape[-1], device=attended.device)
    return attended & (positions > positions[:, None] - window)


def additive(attended: Tensor, dtype: torch.dtype) -> Tensor:
    """`attended` (rows, queries, keys) as (rows, 1, queries, keys) of `dtype`: 0, or minus infinity where False.

    Attention kernels add it as it is; a bool mask would be converted to this form again in every layer.
    """
    mask = torch.zeros(attended.shape, device=attended.device, dtype=dtype)
    return mask.masked_fill_(~attended, -torch.inf)[:, None]
