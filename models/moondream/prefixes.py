"""Keys and values of the latest pictures, so that a second question about a picture needs no encoder."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor

Prefix = list[Tensor]  # for each layer (2, heads, prefix length, head width): keys and values


class Prefixes:
    """At most `limit` bytes of prefixes by picture; the one unused for longest goes first.

    Belongs to the thread that calls the verbs; only `in` may be asked from others, as a hint.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[bytes, Prefix] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, digest: bytes) -> Prefix | None:
        """The picture's prefix, counted as a hit, or None, counted as a miss."""
        prefix = self._kept.get(digest)
        if prefix is None:
            self.misses += 1
        else:
            self.hits += 1
            self._kept.move_to_end(digest)
        return prefix

    def put(self, digest: bytes, prefix: Prefix) -> None:
        """Keep a prefix that is not here yet, unless it alone is over the limit."""
        size = _size(prefix)
        if size > self.limit:
            return
        self._kept[digest] = prefix
        self.bytes += size
        while self.bytes > self.limit:
            _, oldest = self._kept.popitem(last=False)
            self.bytes -= _size(oldest)


def _size(prefix: Prefix) -> int:
    return sum(layer.nbytes for layer in prefix)
