"""The rows of a storage that one batch has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from looksee.models.core.storage import KVStorage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Rows `first` to `end` of a storage."""

    storage: KVStorage
    first: int
    end: int

    def layer(self, index: int) -> Tensor:
        """Keys and values of one layer, (rows, 2 * heads, length, head width): a view."""
        return self.storage.layers[index][self.first : self.end]

    def cross(self, index: int) -> Tensor:
        """Keys and values for one layer's cross-attention, (rows, 2 * heads, cross length, head width): a view."""
        return self.storage.cross[index][self.first : self.end]


class BatchCache:
    """Rows `first` to `end` of a storage. Row i of the batch is row `first + order[i]` of the storage.

    A row that joins is not copied, where it was prefilled behind the batch; when rows leave, the last ones are copied
    to their places. The rows are free again when nothing refers to the object. After a method has raised, it is
    unusable.
    """

    def __init__(self, storage: KVStorage, rows: int, length: int) -> None:
        """New rows of zeros, with `length` slots at least. Raises what the device raises when memory runs out."""
        self.storage, self.first, self.order = storage, 0, list[int]()
        self.length = length  # slots that its longest row needs by now
        self.first = storage.take(self, rows, length)
        self.order = list(range(rows))

    @property
    def rows(self) -> int:
        return len(self.order)

    @property
    def end(self) -> int:
        return self.first + len(self.order)

    @property
    def moved(self) -> bool:
        """Whether the order of the batch and that of the storage differ."""
        return self.order != list(range(len(self.order)))

    def span(self, start: int = 0, end: int | None = None) -> RowSpan:
        """The batch's rows, in storage order, or those `start` to `end` of them."""
        return RowSpan(self.storage, self.first + start, self.end if end is None else self.first + end)

    def arrange(self, rows: Sequence[int]) -> None:
        """Give the batch's rows, which are new and hold nothing yet, the storage's rows in the order `rows`."""
        for index, row in enumerate(rows):
            self.order[row] = index

    def prefix(self, row: int, length: int) -> list[Tensor]:
        """The first `length` slots of a row, (2 * heads, length, head width) for each layer: views."""
        return [layer[self.first + self.order[row], :, :length] for layer in self.storage.layers]

    def write_prefix(self, rows: Sequence[int], prefix: Sequence[Tensor]) -> None:
        """Write one beginning to some rows, (2 * heads, prefix length, head width) for each layer."""
        for layer, part in zip(self.storage.layers, prefix, strict=True):
            for row in rows:
                layer[self.first + self.order[row], :, : part.shape[1]] = part

    def grow(self, length: int) -> None:
        """Make room for at least `length` slots in each row."""
        self.length = max(self.length, length)
        if length > self.storage.length:
            self.storage.reserve(self.end, length)

    def add_rows(self, newcomers: BatchCache) -> None:
        """Append the newcomers' rows, of the same storage; `newcomers` is empty afterwards."""
        if newcomers.first != self.end:
            if not self.storage.is_free(self.end, self.end + newcomers.rows, but=newcomers):
                self._move_all(self.rows + newcomers.rows)
            newcomers._move_to(self.end)
        start = self.rows
        self.order += [start + row for row in newcomers.order]
        self.length = max(self.length, newcomers.length)
        newcomers.order = []

    def keep_rows(self, keep: Sequence[int], length: int) -> None:
        """Keep the rows at the indices `keep`, in that order; they need `length` slots at most.

        Kept rows behind the new end are copied to where others have left.
        """
        kept = [self.order[row] for row in keep]
        free = sorted(set(range(len(kept))) - set(kept))
        moving = [row for row, index in enumerate(kept) if index >= len(kept)]
        self._copy([self.first + kept[row] for row in moving], [self.first + index for index in free])
        for row, index in zip(moving, free, strict=True):
            kept[row] = index
        self.order, self.length = kept, length
        self.storage.shrink(self, length)

    def in_storage_order(self, values: Sequence[T]) -> list[T]:
        """`values`, one for each row of the batch, in the order of the storage's rows."""
        ordered = list(values)
        for row, index in enumerate(self.order):
            ordered[index] = values[row]
        return ordered

    def _move_to(self, first: int) -> None:
        """Move the rows to those from `first` on, which are free but for its own."""
        old, new = range(self.first, self.end), range(first, first + self.rows)
        self.storage.reserve(new.stop, self.length)
        sources, targets = [row for row in old if row not in new], [row for row in new if row not in old]
        self._copy(sources, targets)
        moved = dict(zip(sources, targets, strict=True))
        self.order = [moved.get(self.first + index, self.first + index) - first for index in self.order]
        self.first = first

    def _move_all(self, room: int) -> None:
        """Move the rows to where `room` rows are free."""
        placeholder = BatchCache(self.storage, room, self.length)
        first, placeholder.order = placeholder.first, []
        self._move_to(first)

    def _copy(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        if not sources:
            return
        for layer in (*self.storage.layers, *self.storage.cross):
            if len(sources) == 1:
                layer[targets[0]] = layer[sources[0]]
            else:
                layer[list(targets)] = layer[list(sources)]
