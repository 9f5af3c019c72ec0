"""Key/value caches of right-aligned rows: adding, keeping and trimming rows.

For the `DynamicCache` of transformers 5.23, whose layers hold `keys` and `values` of (rows, heads, length, head width).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


def pad_left(tensor: Tensor, count: int, dim: int) -> Tensor:
    """`tensor` with `count` zeros put before it along `dim`."""
    if count == 0:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = count
    return torch.cat([tensor.new_zeros(shape), tensor], dim=dim)


def add_rows(running: DynamicCache, newcomers: DynamicCache) -> DynamicCache:
    """The rows of both caches, `running` first; the shorter cache is padded on the left."""
    layers = []
    for old, new in zip(running.layers, newcomers.layers, strict=True):
        length = max(old.keys.shape[-2], new.keys.shape[-2])
        keys, values = (
            torch.cat([pad_left(tensor, length - tensor.shape[-2], dim=-2) for tensor in pair])
            for pair in ((old.keys, new.keys), (old.values, new.values))
        )
        layers.append((keys, values))
    return from_layers(layers)


def keep_rows(cache: DynamicCache, keep: Tensor, length: int | None = None) -> DynamicCache:
    """The rows `keep` (indices, int64) in that order, and of each the last `length` positions, or all for None."""
    layers = []
    for layer in cache.layers:
        first = 0 if length is None else layer.keys.shape[-2] - length
        layers.append((layer.keys[:, :, first:][keep], layer.values[:, :, first:][keep]))
    return from_layers(layers)


def empty_like(cache: DynamicCache) -> DynamicCache:
    """A cache without positions, with the layers, rows, heads and head width of `cache`."""
    return from_layers([(layer.keys[..., :0, :], layer.values[..., :0, :]) for layer in cache.layers])


def from_layers(layers: Iterable[tuple[Tensor, Tensor]]) -> DynamicCache:
    """A cache of these keys and values themselves; `DynamicCache.update` would copy them."""
    cache = DynamicCache()
    for keys, values in layers:
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        cache.layers.append(layer)
    return cache


def collate_left(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (rows, longest) int64, padded on the left."""
    longest = max(len(row) for row in rows)
    ids = [[pad] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    dtype = torch.int64  # named, since torch makes float32 of rows without tokens
    return torch.tensor(ids, dtype=dtype, device=device), torch.tensor(mask, dtype=dtype, device=device)
