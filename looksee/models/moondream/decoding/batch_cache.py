"""Keys and values of a batch's rows, in storage in which rows take seats and which they leave.

A newcomer costs a copy of its own keys and values alone, and when rows leave, no more rows move than have left: at its
published size a row has 140 MiB of them and more, on a CPU twice that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch.nn import functional

from looksee.models.moondream.config import TextConfig
from looksee.models.moondream.network.cache import BLOCK, KVCache, in_blocks

_LEAST_SEATS = 8

T = TypeVar("T")


def bucket(rows: int) -> int:
    """The number of rows that `rows` are padded to: 1, 2, 4, 8, and from there on by eights."""
    return 1 << (rows - 1).bit_length() if rows <= 8 else -(rows // -8) * 8


class KVStorage:
    """`layers[i]` is (2, seats, heads, slots, head width), as in `KVCache`. It moves when it grows, `moves` times.

    Storage of the usual kind has no more than seven seats to spare when it has grown, and shrinks when a quarter of it
    is enough: at a half, rows that come and go would move all others again and again. Storage that `stays` moves as
    seldom as may be: its seats double, and it never shrinks.
    """

    def __init__(
        self,
        config: TextConfig,
        seats: int = 0,
        slots: int = 0,
        *,
        device: torch.device,
        dtype: torch.dtype,
        block: int = BLOCK,
        stays: bool = False,
    ) -> None:
        """`block` is in how many slots at a time it grows."""
        self.seats, self.slots, self.block, self.stays = seats, slots, block, stays
        self.moves = 0
        self.layers = KVCache.empty(config, seats, slots, device=device, dtype=dtype).layers

    def in_blocks(self, slots: int) -> int:
        """`slots` rounded up to whole blocks."""
        return in_blocks(slots, self.block)

    def reserve(self, seats: int, slots: int) -> None:
        """Room for so many."""
        if seats > self.seats:
            seats = max(_LEAST_SEATS, 1 << (seats - 1).bit_length()) if self.stays else bucket(seats)
        self._resize(max(self.seats, seats), max(self.slots, self.in_blocks(slots)))

    def release(self, seats: int, slots: int) -> None:
        """No more than so many are needed."""
        seats, slots = bucket(seats), self.in_blocks(slots)
        if not self.stays and 4 * seats * slots <= self.seats * self.slots:
            self._resize(min(self.seats, seats), min(self.slots, slots))

    def part(self, seats: int, slots: int) -> KVCache:
        """The first seats and slots as a cache that writes where they are."""
        return KVCache([layer[:, :seats, :, :slots] for layer in self.layers])

    def _resize(self, seats: int, slots: int) -> None:
        if (seats, slots) == (self.seats, self.slots):
            return
        self.moves += 1
        change = (0, 0, 0, slots - self.slots, 0, 0, 0, seats - self.seats)
        for index, layer in enumerate(self.layers):  # one by one, so that no more than one layer exists twice
            self.layers[index] = functional.pad(layer, change)
        self.seats, self.slots = seats, slots


class BatchedKVCache:
    """A batch's rows in a `storage` that no other batch uses. Row i sits in `seats[i]`; the first seats are taken.

    A verb that fails half-way leaves the cache unusable.
    """

    def __init__(self, storage: KVStorage, rows: int = 0) -> None:
        """`rows` have their keys and values in the storage already."""
        self.storage = storage
        self.seats = list(range(rows))
        self.slots = storage.slots if rows else 0  # what lies behind was not written by these rows

    @property
    def rows(self) -> int:
        return len(self.seats)

    def grow(self, slots: int) -> None:
        """At least so many slots."""
        self.slots = max(self.slots, slots)
        self.storage.reserve(self.rows, self.slots)

    def written(self) -> KVCache:
        """The rows in the order of their seats, as a cache that writes where they are."""
        return self.storage.part(self.rows, self.slots)

    def add_rows(self, newcomers: BatchedKVCache) -> None:
        """Newcomers' rows behind these; `newcomers` is used up."""
        start, end = self.rows, self.rows + newcomers.rows
        self.slots = max(self.slots, newcomers.slots)
        self.storage.reserve(end, self.slots)
        for index, layer in enumerate(self.storage.layers):
            new = newcomers.storage.layers[index][:, : newcomers.rows, :, : newcomers.slots]
            layer[:, start:end, :, : newcomers.slots] = new
            layer[:, start:end, :, newcomers.slots :] = 0  # a slot that takes no part must still hold a number
            if not newcomers.storage.stays:
                newcomers.storage.layers[index] = new[:, :0].clone()
        self.seats += [start + seat for seat in newcomers.seats]
        newcomers.seats = []

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
        self.storage.release(self.rows, self.slots)

    def by_seat(self, values: Sequence[T]) -> list[T]:
        """One value for each row, in the order of their seats."""
        found = dict(zip(self.seats, values, strict=True))
        return [found[seat] for seat in range(self.rows)]
