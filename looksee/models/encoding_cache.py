"""A cache of encoded pictures: a second job about a picture needs no second pass of the vision tower."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from cachetools import Cache, LRUCache

ValueT = TypeVar("ValueT")


class EncodingCache(Generic[ValueT]):
    """At most `max_bytes` bytes of encodings by a hash of their pictures; the least recently used are evicted first.

    Around `cachetools.LRUCache`, which has neither a lock nor counts. Safe to use from several threads. A value must
    not change in size: `size_of`, which gives its bytes, is called once for each.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[ValueT], int]) -> None:
        self.hits = 0
        self.misses = 0
        self._size_of = size_of
        self._encodings: LRUCache[bytes, ValueT] = LRUCache(max_bytes, getsizeof=size_of)
        self._lock = threading.Lock()

    def __contains__(self, key: object) -> bool:
        """Whether there is a value; neither counted nor a use. The value may be evicted before the next call."""
        with self._lock:
            return key in self._encodings

    def __len__(self) -> int:
        with self._lock:
            return len(self._encodings)

    @property
    def max_bytes(self) -> int:
        return int(self._encodings.maxsize)

    @property
    def nbytes(self) -> int:
        """The bytes of all values."""
        return int(self._encodings.currsize)

    def get(self, key: bytes, *, rows: int = 1) -> ValueT | None:
        """The value, if there is one; a use.

        `rows` is how many rows of a batch need it. Each counts as a hit, but without a value the first one as a miss:
        the other rows share the encoding that is made for it.
        """
        with self._lock:
            found = self._encodings.get(key)
            self.misses += found is None
            self.hits += rows - (found is None)
            return found

    def peek(self, key: bytes) -> ValueT | None:
        """The value, if there is one; neither counted nor a use."""
        with self._lock:
            return Cache.__getitem__(self._encodings, key) if key in self._encodings else None

    def put(self, key: bytes, value: ValueT) -> None:
        """Add a value, unless there is one or this one alone is larger than `max_bytes`."""
        size = self._size_of(value)
        with self._lock:
            if size <= self._encodings.maxsize and key not in self._encodings:
                self._encodings[key] = value

    def clear(self) -> None:
        """Remove all values. The counts stay."""
        with self._lock:
            self._encodings.clear()
