"""Keys and values of a running batch, written in place: what stands at position p of a row's sequence is in slot p.

So rows of any length share one batch without moving, a mask is a comparison of slots with positions, and a newcomer is
a copy. Slots are taken in blocks and as many as the longest row needs, not as many as the context has.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.moondream.config import TextConfig

BLOCK = 64  # slots; a running batch grows once in so many steps


def in_blocks(length: int) -> int:
    """`length` rounded up to whole blocks."""
    return -(length // -BLOCK) * BLOCK


def row_bytes(config: TextConfig, slots: int, dtype: torch.dtype) -> int:
    """What the keys and values of one row with so many slots take, in bytes."""
    return 2 * config.n_layers * slots * config.dim * dtype.itemsize


class Cache:
    """`layers[i]` is (2, rows, heads, slots, head width): keys and values of layer i.

    A verb that changes the number of rows or slots works layer by layer, so that no more than one layer exists twice.
    One that fails half-way leaves the cache unusable.
    """

    def __init__(self, layers: list[Tensor]) -> None:
        self.layers = layers

    @classmethod
    def empty(cls, config: TextConfig, rows: int, slots: int, *, device: torch.device, dtype: torch.dtype) -> Cache:
        """Zeros: a slot that was not written takes no part, but must hold a number."""
        shape = (2, rows, config.n_heads, slots, config.dim // config.n_heads)
        return cls([torch.zeros(shape, device=device, dtype=dtype) for _ in range(config.n_layers)])

    @property
    def rows(self) -> int:
        return self.layers[0].shape[1]

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

    def grow(self, slots: int) -> None:
        """At least so many slots."""
        if slots > self.slots:
            for index, layer in enumerate(self.layers):
                self.layers[index] = functional.pad(layer, (0, 0, 0, slots - layer.shape[3]))

    def join(self, newcomers: Cache) -> None:
        """Newcomers' rows behind these; `newcomers` is used up."""
        self.grow(newcomers.slots)
        newcomers.grow(self.slots)
        for index in range(len(self.layers)):
            self.layers[index] = torch.cat([self.layers[index], newcomers.layers[index]], dim=1)
            newcomers.layers[index] = newcomers.layers[index][:, :0].clone()

    def keep(self, rows: Sequence[int], slots: int) -> None:
        """Only these rows (indices), in this order, and the first `slots` of their slots."""
        places = torch.tensor(rows, device=self.layers[0].device)
        for index, layer in enumerate(self.layers):
            self.layers[index] = layer[:, :, :, :slots].index_select(1, places)

    def loose(self) -> Cache:
        """The same rows in tensors of their own, as they are here."""
        return self
