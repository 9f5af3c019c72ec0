"""Key/value caches of a running batch: joining, leaving and trimming rows that are all right-aligned.

Works on the `DynamicCache` of transformers 5.23, whose layers hold `keys` and `values` of (rows, heads, length, dim).
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
    """Both caches' rows in one, the shorter one padded on the left."""
    joined = []
    for old, new in zip(running.layers, newcomers.layers, strict=True):
        length = max(old.keys.shape[-2], new.keys.shape[-2])
        keys, values = (
            torch.cat([pad_left(tensor, length - tensor.shape[-2], dim=-2) for tensor in pair])
            for pair in ((old.keys, new.keys), (old.values, new.values))
        )
        joined.append((keys, values))
    return holding(joined)


def keep_rows(cache: DynamicCache, keep: Tensor, length: int | None = None) -> DynamicCache:
    """The kept rows' last `length` positions, all of them when None; `keep` are row indices (int64)."""
    layers = []
    for layer in cache.layers:
        first = 0 if length is None else layer.keys.shape[-2] - length
        layers.append((layer.keys[:, :, first:][keep], layer.values[:, :, first:][keep]))
    return holding(layers)


def begin(like: DynamicCache) -> DynamicCache:
    """A cache without positions, of the layers, rows, heads and width of `like`."""
    return holding([(layer.keys[..., :0, :], layer.values[..., :0, :]) for layer in like.layers])


def holding(layers: Iterable[tuple[Tensor, Tensor]]) -> DynamicCache:
    """A cache that holds these keys and values themselves (its own `update` would copy them)."""
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
    kind = torch.int64  # also where no row has a token
    return torch.tensor(ids, dtype=kind, device=device), torch.tensor(mask, dtype=kind, device=device)
