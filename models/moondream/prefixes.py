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

    def get(self, digest: bytes, *, askers: int = 1) -> Prefix | None:
        """The picture's prefix, if it is here.

        Each asker is counted as a hit, but the first one as a miss where there is none: the others share what it makes.
        """
        prefix = self._kept.get(digest)
        found = prefix is not None
        self.misses += not found
        self.hits += askers - (not found)
        if found:
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

    def clear(self) -> None:
        """Keep nothing of what was."""
        self._kept.clear()
        self.bytes = 0


def _size(prefix: Prefix) -> int:
    return sum(layer.nbytes for layer in prefix)
