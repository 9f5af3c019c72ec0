"""What was made of the latest pictures, kept while it fits: another question about a picture needs no second look."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")


class LRU(Generic[ValueT]):
    """At most `limit` bytes of values, by a hash of their pictures; what was not asked for the longest goes first.

    `size` tells the bytes of a value. For any thread.
    """

    def __init__(self, limit: int, size: Callable[[ValueT], int]) -> None:
        self.limit = limit
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._size = size
        self._kept: OrderedDict[bytes, ValueT] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: object) -> bool:
        """Whether it is here; not counted, and by the time it is asked for it may be gone."""
        with self._lock:
            return key in self._kept

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def get(self, key: bytes, *, askers: int = 1) -> ValueT | None:
        """The value, if it is here.

        Each asker is counted as a hit, but the first one as a miss where there is none: the others share what it makes.
        """
        with self._lock:
            found = key in self._kept
            self.misses += not found
            self.hits += askers - (not found)
            if found:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def peek(self, key: bytes) -> ValueT | None:
        """The same, without counting it as another question."""
        with self._lock:
            return self._kept.get(key)

    def put(self, key: bytes, value: ValueT) -> None:
        """Keep a value, unless there is one or it alone is over the limit."""
        size = self._size(value)
        with self._lock:
            if size > self.limit or key in self._kept:
                return
            self._kept[key] = value
            self.bytes += size
            while self.bytes > self.limit:
                _, oldest = self._kept.popitem(last=False)
                self.bytes -= self._size(oldest)

    def clear(self) -> None:
        """Keep nothing of what was."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0
