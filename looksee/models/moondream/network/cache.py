"""Keys and values of rows of any length: those of a sequence's position p are at index p of its row.

So a mask is a comparison of indices with positions, rows of different lengths share one cache, and a new row is a copy.
The cache is as long as the longest row needs, in whole blocks, not as long as the model's context.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from looksee.models.moondream.config import TextConfig

BLOCK = 64  # positions; a running batch's cache grows once in so many steps


def in_blocks(length: int, block: int = BLOCK) -> int:
    """`length` rounded up to whole blocks."""
    return -(length // -block) * block


def row_bytes(config: TextConfig, length: int, dtype: torch.dtype) -> int:
    """The bytes of one row's keys and values for `length` positions."""
    return 2 * config.n_layers * length * config.dim * dtype.itemsize


class KVCache:
    """`layers[i]` is (2, rows, heads, length, head width): keys and values of layer i."""

    def __init__(self, layers: list[Tensor]) -> None:
        self.layers = layers

    @classmethod
    def empty(cls, config: TextConfig, rows: int, length: int, *, device: torch.device, dtype: torch.dtype) -> KVCache:
        """Zeros: a position that was not written is masked, but must hold a finite number."""
        shape = (2, rows, config.n_heads, length, config.head_width)
        return cls([torch.zeros(shape, device=device, dtype=dtype) for _ in range(config.n_layers)])

    @property
    def length(self) -> int:
        """The number of positions there is room for."""
        return self.layers[0].shape[3]

    def write(self, layer: int, where: tuple[Tensor, Tensor], keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write `keys` and `values` (rows, heads, fed, head width) of one layer.

        `where` are the row indices and positions, which broadcast to (rows, fed). Returns all keys and values of the
        layer, (rows, heads, length, head width) each.
        """
        rows, positions = where
        all_keys, all_values = self.layers[layer]
        all_keys[rows, :, positions] = keys.transpose(1, 2)
        all_values[rows, :, positions] = values.transpose(1, 2)
        return all_keys, all_values

    def write_prefix(self, rows: Sequence[int], prefix: Sequence[Tensor]) -> None:
        """Write one prefix at the beginning of some rows: (2, heads, prefix length, head width) for each layer."""
        for layer, part in zip(self.layers, prefix, strict=True):
            for row in rows:
                layer[:, row, :, : part.shape[2]] = part
