"""The KV cache of a running batch, in storage with spare rows.

A new row costs a copy of its own keys and values alone, and when rows leave, at most as many others are moved: a row of
the published model has 140 MiB and more in bfloat16, in float32 twice that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch.nn import functional

from looksee.models.moondream.config import TextConfig
from looksee.models.moondream.network.cache import BLOCK, KVCache, in_blocks

_MIN_STATIC_ROWS = 8

T = TypeVar("T")


def bucket(rows: int) -> int:
    """The number of rows that `rows` are padded to: 1, 2, 4, 8, then multiples of 8."""
    return 1 << (rows - 1).bit_length() if rows <= 8 else -(rows // -8) * 8


class KVStorage:
    """Memory for `rows` rows of `length` positions: `layers[i]` is (2, rows, heads, length, head width).

    Growing and shrinking reallocate it, which `reallocations` counts. Ordinary storage grows to the next bucket of
    rows, so has at most seven spare ones, and shrinks when a quarter of it is enough: with a half, rows that come and
    go would reallocate it again and again. `static` storage is reallocated as rarely as possible, since captured graphs
    refer to its addresses: its rows double, and it never shrinks.
    """

    def __init__(
        self,
        config: TextConfig,
        rows: int = 0,
        length: int = 0,
        *,
        device: torch.device,
        dtype: torch.dtype,
        block: int = BLOCK,
        static: bool = False,
    ) -> None:
        """`block` is the number of positions by which it grows."""
        self.rows, self.length, self.block, self.static = rows, length, block, static
        self.reallocations = 0
        self.layers = KVCache.empty(config, rows, length, device=device, dtype=dtype).layers

    def in_blocks(self, length: int) -> int:
        """`length` rounded up to whole blocks."""
        return in_blocks(length, self.block)

    def reserve(self, rows: int, length: int) -> None:
        """Grow, if need be, to so many rows and positions."""
        if rows > self.rows:
            rows = max(_MIN_STATIC_ROWS, 1 << (rows - 1).bit_length()) if self.static else bucket(rows)
        self._resize(max(self.rows, rows), max(self.length, self.in_blocks(length)))

    def shrink(self, rows: int, length: int) -> None:
        """Give memory back where so many rows and positions need a quarter of it at most."""
        rows, length = bucket(rows), self.in_blocks(length)
        if not self.static and 4 * rows * length <= self.rows * self.length:
            self._resize(min(self.rows, rows), min(self.length, length))

    def view(self, rows: int, length: int) -> KVCache:
        """The first rows and positions as a cache that shares their memory."""
        return KVCache([layer[:, :rows, :, :length] for layer in self.layers])

    def _resize(self, rows: int, length: int) -> None:
        if (rows, length) == (self.rows, self.length):
            return
        self.reallocations += 1
        change = (0, 0, 0, length - self.length, 0, 0, 0, rows - self.rows)
        for index, layer in enumerate(self.layers):  # one by one, so that at most one layer exists twice
            self.layers[index] = functional.pad(layer, change)
        self.rows, self.length = rows, length


class BatchedKVCache:
    """The rows of one batch in a `storage` that no other batch uses.

    Row i of the batch is row `storage_rows[i]` of the storage; the batch has the storage's first rows. After a method
    has raised, the cache is unusable.
    """

    def __init__(self, storage: KVStorage, rows: int = 0) -> None:
        """The batch has the storage's first `rows`."""
        self.storage = storage
        self.storage_rows = list(range(rows))
        self.length = storage.length if rows else 0  # positions behind it hold nothing of these rows

    @property
    def rows(self) -> int:
        return len(self.storage_rows)

    def grow(self, length: int) -> None:
        """Make room for at least `length` positions."""
        self.length = max(self.length, length)
        self.storage.reserve(self.rows, self.length)

    def view(self) -> KVCache:
        """The batch's rows, in storage order, as a cache that shares their memory."""
        return self.storage.view(self.rows, self.length)

    def add_rows(self, newcomers: BatchedKVCache) -> None:
        """Append the newcomers' rows; `newcomers` is empty afterwards."""
        start, end = self.rows, self.rows + newcomers.rows
        self.length = max(self.length, newcomers.length)
        self.storage.reserve(end, self.length)
        for index, layer in enumerate(self.storage.layers):
            new = newcomers.storage.layers[index][:, : newcomers.rows, :, : newcomers.length]
            layer[:, start:end, :, : newcomers.length] = new
            layer[:, start:end, :, newcomers.length :] = 0  # masked positions must hold finite numbers
            if not newcomers.storage.static:
                newcomers.storage.layers[index] = new[:, :0].clone()
        self.storage_rows += [start + row for row in newcomers.storage_rows]
        newcomers.storage_rows = []

    def keep_rows(self, keep: Sequence[int], length: int) -> None:
        """Keep the rows at the indices `keep`, in that order, and at most their first `length` positions.

        Kept rows beyond the new end of the storage's rows are moved to where others have left.
        """
        kept = [self.storage_rows[row] for row in keep]
        free = sorted(set(range(len(kept))) - set(kept))
        moving = [row for row, storage_row in enumerate(kept) if storage_row >= len(kept)]
        for row, target in zip(moving, free, strict=True):
            for layer in self.storage.layers:
                layer[:, target] = layer[:, kept[row]]
            kept[row] = target
        self.storage_rows, self.length = kept, min(self.length, length)
        self.storage.shrink(self.rows, self.length)

    def in_storage_order(self, values: Sequence[T]) -> list[T]:
        """`values`, one for each row of the batch, in the order of the storage's rows."""
        by_storage_row = dict(zip(self.storage_rows, values, strict=True))
        return [by_storage_row[row] for row in range(self.rows)]
