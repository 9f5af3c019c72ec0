"""What the vision tower made of pictures, kept for a while: another question about a picture needs no second look."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor


@dataclass(slots=True)
class Seen:
    """A picture of a row: first `pixel_values` (crops, 3, height, width), then `features` (crops, tokens, width)."""

    key: bytes
    crops: int
    pixel_values: Tensor | None
    features: Tensor | None


class Features:
    """The features of the latest pictures, by a hash of their files; `most` bytes in all. For any thread."""

    def __init__(self, most: int) -> None:
        self.most, self.size = most, 0
        self.hits = self.misses = 0
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Tensor | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self.misses += 1
            else:
                self.hits += 1
                self._kept.move_to_end(key)
            return found

    def peek(self, key: bytes) -> Tensor | None:
        """The same, without counting it as another question."""
        with self._lock:
            return self._kept.get(key)

    def put(self, key: bytes, features: Tensor) -> None:
        """Keep a picture's features; the ones that were not asked for the longest make room."""
        with self._lock:
            if features.nbytes > self.most or key in self._kept:
                return
            self._kept[key] = features
            self.size += features.nbytes
            while self.size > self.most:
                _, oldest = self._kept.popitem(last=False)
                self.size -= oldest.nbytes

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.size = 0
