"""Keys and values of a running batch in storage that stays where it is: rows take seats in it, and leave them.

What a CUDA graph reads and writes may not move. Beside that it is cheap: a newcomer costs a copy of its own keys and
values alone, and when rows leave no more rows move than have left.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from models.moondream.cache import BLOCK, Cache
from models.moondream.config import TextConfig

_LEAST_SEATS = 8


class Storage:
    """`layers[i]` is (2, seats, heads, slots, head width), as in `Cache`. It moves when it grows, `moves` times."""

    def __init__(self, config: TextConfig, *, device: torch.device, dtype: torch.dtype, block: int = 4 * BLOCK) -> None:
        """`block` is in how many slots at a time it grows."""
        self.block = block
        self.seats = self.slots = self.moves = 0
        self.layers = Cache.empty(config, 0, 0, device=device, dtype=dtype).layers

    def in_blocks(self, slots: int) -> int:
        """`slots` rounded up to whole blocks."""
        return -(slots // -self.block) * self.block

    def reserve(self, seats: int, slots: int) -> None:
        """Room for so many: seats double, so that a growing batch does not move its rows again and again."""
        if seats <= self.seats and slots <= self.slots:
            return
        self.moves += 1
        seats = max(self.seats, _LEAST_SEATS, 1 << (seats - 1).bit_length())
        slots = max(self.slots, self.in_blocks(slots))
        for index, layer in enumerate(self.layers):  # one by one, so that no more than one layer exists twice
            more = (0, 0, 0, slots - layer.shape[3], 0, 0, 0, seats - layer.shape[1])
            self.layers[index] = functional.pad(layer, more)
        self.seats, self.slots = seats, slots

    def part(self, seats: int, slots: int) -> Cache:
        """The first seats and slots as a cache that writes where they are."""
        return Cache([layer[:, :seats, :, :slots] for layer in self.layers])


class SeatedCache:
    """A batch's rows in a `storage` that no other batch uses. Row i sits in `seats[i]`; the first seats are taken.

    A verb that fails half-way leaves the cache unusable.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.seats: list[int] = []
        self.slots = 0  # what lies behind was not written by these rows

    @property
    def rows(self) -> int:
        return len(self.seats)

    def grow(self, slots: int) -> None:
        """At least so many slots."""
        self.slots = max(self.slots, slots)
        self.storage.reserve(self.rows, self.slots)

    def join(self, newcomers: Cache) -> None:
        """Newcomers' rows behind these; `newcomers` is used up."""
        start, end = self.rows, self.rows + newcomers.rows
        self.slots = max(self.slots, newcomers.slots)
        self.storage.reserve(end, self.slots)
        for index, layer in enumerate(self.storage.layers):
            layer[:, start:end, :, : newcomers.slots] = newcomers.layers[index]
            layer[:, start:end, :, newcomers.slots :] = 0  # a slot that takes no part must still hold a number
            newcomers.layers[index] = newcomers.layers[index][:, :0].clone()
        self.seats += range(start, end)

    def keep(self, rows: Sequence[int], slots: int) -> None:
        """Only these rows (indices), in this order, and the first `slots` of their slots.

        Who sits behind the new end takes the seat of one that left.
        """
        stay = [self.seats[row] for row in rows]
        free = sorted(set(range(len(stay))) - set(stay))
        moving = [row for row, seat in enumerate(stay) if seat >= len(stay)]
        for row, seat in zip(moving, free, strict=True):
            for layer in self.storage.layers:
                layer[:, seat] = layer[:, stay[row]]
            stay[row] = seat
        self.seats, self.slots = stay, min(self.slots, slots)

    def loose(self) -> Cache:
        """The same rows in tensors of their own."""
        return Cache([layer[:, self.seats, :, : self.slots] for layer in self.storage.layers])
