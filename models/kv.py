"""Key/value caches of a running batch: joining, leaving and trimming rows that are all right-aligned.

Works on the `DynamicCache` of transformers 5.23, whose layers hold `keys` and `values` of (rows, heads, length, dim).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache


def pad_left(tensor: Tensor, count: int, dim: int) -> Tensor:
    """`tensor` with `count` zeros put before it along `dim`."""
    if count == 0:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = count
    return torch.cat([tensor.new_zeros(shape), tensor], dim=dim)


def join(running: DynamicCache, newcomers: DynamicCache) -> DynamicCache:
    """Both caches' rows in one, the shorter one padded on the left."""
    joined = DynamicCache()
    for index, (old, new) in enumerate(zip(running.layers, newcomers.layers, strict=True)):
        length = max(old.keys.shape[-2], new.keys.shape[-2])
        keys, values = (
            torch.cat([pad_left(tensor, length - tensor.shape[-2], dim=-2) for tensor in pair])
            for pair in ((old.keys, new.keys), (old.values, new.values))
        )
        joined.update(keys, values, index)
    return joined


def leave(cache: DynamicCache, keep: Tensor, length: int) -> DynamicCache:
    """The kept rows' last `length` positions; `keep` are row indices (int64)."""
    kept = DynamicCache()
    for index, layer in enumerate(cache.layers):
        kept.update(layer.keys[keep, :, -length:], layer.values[keep, :, -length:], index)
    return kept


def begin(cache: DynamicCache, like: DynamicCache) -> None:
    """Give an empty cache layers without positions, of the rows, heads and width of `like`."""
    for index, layer in enumerate(like.layers):
        cache.update(layer.keys[..., :0, :], layer.values[..., :0, :], index)


def collate_left(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (rows, longest) int64, padded on the left."""
    longest = max(len(row) for row in rows)
    ids = [[pad] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    kind = torch.int64  # also where no row has a token
    return torch.tensor(ids, dtype=kind, device=device), torch.tensor(mask, dtype=kind, device=device)
