"""Keys and values of a running batch, written in place: what stands at position p of a row's sequence is in slot p.

So rows of any length share one batch without moving, a mask is a comparison of slots with positions, and a newcomer is
a copy. Slots are taken in blocks and as many as the longest row needs, not as many as the context has.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from looksee.models.moondream.config import TextConfig

BLOCK = 64  # slots; a running batch grows once in so many steps


def in_blocks(length: int, block: int = BLOCK) -> int:
    """`length` rounded up to whole blocks."""
    return -(length // -block) * block


def row_bytes(config: TextConfig, slots: int, dtype: torch.dtype) -> int:
    """What the keys and values of one row with so many slots take, in bytes."""
    return 2 * config.n_layers * slots * config.dim * dtype.itemsize


class KVCache:
    """`layers[i]` is (2, rows, heads, slots, head width): keys and values of layer i."""

    def __init__(self, layers: list[Tensor]) -> None:
        self.layers = layers

    @classmethod
    def empty(cls, config: TextConfig, rows: int, slots: int, *, device: torch.device, dtype: torch.dtype) -> KVCache:
        """Zeros: a slot that was not written takes no part, but must hold a number."""
        shape = (2, rows, config.n_heads, slots, config.head_width)
        return cls([torch.zeros(shape, device=device, dtype=dtype) for _ in range(config.n_layers)])

    @property
    def slots(self) -> int:
        return self.layers[0].shape[3]

    def write(self, layer: int, where: tuple[Tensor, Tensor], keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put (rows, heads, length, head width) where `where`, rows and slots of (rows, length), says; returns all."""
        rows, slots = where
        all_keys, all_values = self.layers[layer]
        all_keys[rows, :, slots] = keys.transpose(1, 2)
        all_values[rows, :, slots] = values.transpose(1, 2)
        return all_keys, all_values

    def put(self, rows: Sequence[int], layers: Sequence[Tensor]) -> None:
        """Write the same beginning of some rows: (2, heads, length, head width) for each layer."""
        for all_rows, one in zip(self.layers, layers, strict=True):
            for row in rows:
                all_rows[:, row, :, : one.shape[2]] = one
