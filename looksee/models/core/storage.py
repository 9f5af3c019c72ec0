"""Memory for the keys and values of a model's rows, written in place.

Position p of a sequence is at slot p of its row. So a mask is a comparison of slots with positions, rows of any length
share a batch without being moved, and a row that joins a batch is not copied: its prefill has written where it stays.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from looksee.models.core.batch_cache import BatchCache

GROWTH = 64  # slots by which storage grows: a running batch's is reallocated once in so many steps at most
_MIN_STATIC_ROWS = 8


@dataclass(frozen=True, slots=True)
class CacheShape:
    """What a decoder keeps of a position: in each of `layers`, `heads` keys and as many values of `head_width`.

    `cross_length` is the number of encoder positions that a decoder with cross-attention keeps besides, else 0.
    """

    layers: int
    heads: int
    head_width: int
    cross_length: int = 0

    def row_bytes(self, length: int, dtype: torch.dtype) -> int:
        """The bytes of one row of `length` positions."""
        return 2 * self.layers * self.heads * self.head_width * (length + self.cross_length) * dtype.itemsize


def row_bucket(rows: int) -> int:
    """The number of rows that `rows` are padded to: 1, 2, 4, 8, then multiples of 8."""
    return 1 << (rows - 1).bit_length() if rows <= 8 else -(rows // -8) * 8


class KVStorage:
    """`layers[i]` is (rows, 2 * heads, length, head width), the keys' heads before the values'; `cross[i]` likewise.

    Ordinary storage grows to the next bucket of rows and shrinks when a quarter of it is enough: with a half, rows that
    come and go would reallocate it again and again. `static` storage is reallocated as rarely as possible, since
    captured graphs refer to its addresses: its rows double, and it never shrinks. `reallocations` counts both.

    All slots are finite: those that no position has been written to are masked, but 0 times NaN would be NaN. For one
    thread at a time.
    """

    def __init__(
        self,
        shape: CacheShape,
        *,
        device: torch.device,
        dtype: torch.dtype,
        growth: int = GROWTH,
        static: bool = False,
    ) -> None:
        """`growth` is the number of slots that its length is a multiple of."""
        self.shape, self.device, self.dtype, self.growth, self.static = shape, device, dtype, growth, static
        self.rows = self.length = self.reallocations = 0
        self._is_whole = True  # all layers have that size
        self.budget: int | None = None  # bytes beyond which it holds what the batches need, and nothing to spare
        self.layers = [self._zeros(0, 0) for _ in range(shape.layers)]
        self.cross = [self._zeros(0, shape.cross_length) for _ in range(shape.layers if shape.cross_length else 0)]
        self.before_resize: Callable[[], object] = lambda: None  # called before the tensors are replaced
        # Weak: the rows of a batch are free again when nothing refers to it any more, also where a failure dropped it.
        self._batches: weakref.WeakSet[BatchCache] = weakref.WeakSet()

    def rounded(self, length: int) -> int:
        """`length` rounded up to what the storage's length may be."""
        return -(length // -self.growth) * self.growth

    def held_bytes(self, rows: int, length: int) -> int:
        """The bytes of a storage that has grown to so many rows and slots, and no further.

        While it is reallocated it holds one layer more.
        """
        return self._rounded_rows(rows) * self.shape.row_bytes(self.rounded(length), self.dtype)

    @property
    def nbytes(self) -> int:
        """The bytes that it holds."""
        return self.rows * self.shape.row_bytes(self.length, self.dtype)

    def take(self, batch: BatchCache, rows: int, length: int) -> int:
        """Give `batch` so many rows, side by side, with `length` slots each; returns the first. They hold zeros."""
        ranges = sorted((other.first, other.end) for other in self._batches if other.rows)
        if not ranges:
            self._shrink(rows, length)
        first = 0
        for start, end in ranges:
            if start - first >= rows:
                break
            first = end
        self._batches.add(batch)
        if first + rows > self.rows or length > self.length:
            self.reserve(first + rows, length)
        for layer in self.layers:
            layer[first : first + rows].zero_()
        return first

    def is_free(self, first: int, end: int, *, but: BatchCache | None = None) -> bool:
        """Whether no batch, or none but one, has any of these rows."""
        others = [batch for batch in self._batches if batch is not but and batch.rows]
        return all(batch.end <= first or end <= batch.first for batch in others)

    def reserve(self, rows: int, length: int) -> None:
        """Grow, if need be, to so many rows and slots.

        Beyond the budget, rows and slots that no batch needs are given up for those that are needed: many short rows
        and then a long one would else make a storage of many long rows.
        """
        wanted = max(self.rows, self._rounded_rows(rows)), max(self.length, self.rounded(length))
        if self.budget is not None and wanted[0] * self.shape.row_bytes(wanted[1], self.dtype) > self.budget:
            used = [batch for batch in self._batches if batch.rows]
            rows, length = max([rows, *(one.end for one in used)]), max([length, *(one.length for one in used)])
            wanted = self._rounded_rows(rows), self.rounded(length)
        self._resize(*wanted)

    def shrink(self, batch: BatchCache, length: int) -> None:
        """Give memory back where the rows of `batch`, with `length` slots each, need a quarter of it at most.

        Not while there are other batches, or rows before those of `batch`.
        """
        if self.is_free(0, self.rows, but=batch) and batch.first == 0:
            self._shrink(batch.rows, length)

    def release(self) -> None:
        """Free all memory, unless a batch has rows."""
        if not any(batch.rows for batch in self._batches):
            self._resize(0, 0)

    def _rounded_rows(self, rows: int) -> int:
        """`rows` rounded up to what the storage's rows may be."""
        if self.static:
            return max(_MIN_STATIC_ROWS, 1 << (rows - 1).bit_length()) if rows else 0
        return row_bucket(rows) if rows else 0

    def _shrink(self, rows: int, length: int) -> None:
        rows, length = row_bucket(rows), self.rounded(length)
        if not self.static and 4 * rows * length <= self.rows * self.length:
            self._resize(min(self.rows, rows), min(self.length, length))

    def _resize(self, rows: int, length: int) -> None:
        if (rows, length) == (self.rows, self.length) and self._is_whole:
            return
        self.before_resize()
        self.reallocations += 1
        kept, slots = min(rows, self.rows), min(length, self.length)
        crossed = rows != self.rows or not self._is_whole
        # If memory runs out on the way, this much is in every layer, whether it was reallocated or not.
        self.rows, self.length, self._is_whole = kept, slots, False
        for index, old in enumerate(self.layers):  # one by one, so that at most one layer exists twice
            self.layers[index] = self._zeros(rows, length)
            self.layers[index][:kept, :, :slots] = old[:kept, :, :slots]
        if crossed:
            for index, old in enumerate(self.cross):
                self.cross[index] = self._zeros(rows, self.shape.cross_length)
                self.cross[index][:kept] = old[:kept]
        self.rows, self.length, self._is_whole = rows, length, True

    def _zeros(self, rows: int, length: int) -> Tensor:
        """In the order that the device's attention reads fastest: heads before slots on a CPU, after them elsewhere."""
        heads, width = 2 * self.shape.heads, self.shape.head_width
        if self.device.type == "cpu":
            return torch.zeros(rows, heads, length, width, device=self.device, dtype=self.dtype)
        return torch.zeros(rows, length, heads, width, device=self.device, dtype=self.dtype).transpose(1, 2)
