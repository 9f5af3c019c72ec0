"""Attention masks of left-padded rows: which positions (True) each position of a row sees."""

from __future__ import annotations

import torch
from torch import Tensor


def same_picture(pictures: Tensor) -> Tensor:
    """(rows, length, length) bool: pairs of tokens of one picture.

    `pictures` (rows, length) bool marks picture tokens; those without another token between them are one picture's.
    """
    follows = torch.zeros_like(pictures)
    follows[:, 1:] = pictures[:, :-1]
    number = (pictures & ~follows).cumsum(-1).masked_fill_(~pictures, 0)
    return (number[:, :, None] == number[:, None, :]) & pictures[:, :, None]


def prompt(mask: Tensor, pictures: Tensor) -> Tensor:
    """(rows, length, length) bool: each token sees those up to itself and all of its own picture.

    `mask` (rows, length) is 0 where a row is padded. A padded position sees itself and nothing else: what attention
    computes where nothing is visible differs from kernel to kernel, and a NaN in a padded position's values would reach
    the whole row, since 0 times NaN is NaN.
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    seen = same_picture(pictures).logical_or_(places <= places[:, None]).logical_and_(mask[:, None].bool())
    return seen.logical_or_(places == places[:, None])


def windowed(seen: Tensor, window: int) -> Tensor:
    """`seen` (rows, length, length) without what is `window` positions or more before a position."""
    places = torch.arange(seen.shape[-1], device=seen.device)
    return seen & (places > places[:, None] - window)


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """`seen` (rows, queries, length) as (rows, 1, queries, length) of `dtype`: 0, and minus infinity where not seen.

    Attention adds it as it is; a bool mask would be converted to this in every layer again.
    """
    return torch.zeros(seen.shape, device=seen.device, dtype=dtype).masked_fill_(~seen, -torch.inf)[:, None]
