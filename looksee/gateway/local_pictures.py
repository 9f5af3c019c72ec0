"""Kept pictures in the memory of one process, where there is no Redis."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from looksee.core.images import Picture
from looksee.core.kept_pictures import Holdings, KeptPicture


@dataclass(frozen=True, slots=True)
class _Entry:
    """`until` is of the monotonic clock: one that is set right makes no picture older."""

    data: bytes
    kept: KeptPicture
    until: float


class LocalPictures:
    """A store for one event loop. Each other process has its own, and knows nothing of these."""

    def __init__(
        self, *, max_pictures: int, max_bytes: int, seconds: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """At most so many pictures of so many bytes, each for so many seconds after it was last sent."""
        self._max_pictures, self._max_bytes, self._seconds, self._clock = max_pictures, max_bytes, seconds, clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the oldest first
        self._bytes = 0
        self._watching: asyncio.AbstractEventLoop | None = None

    async def put(self, name: str, picture: Picture) -> tuple[KeptPicture, Holdings]:
        self._remove(name)
        kept = KeptPicture.of(picture, int(time.time()) + self._seconds)
        self._entries[name] = _Entry(picture.data, kept, self._clock() + self._seconds)
        self._bytes += kept.nbytes
        self._prune()
        while len(self._entries) > self._max_pictures or self._bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))
        self._watch()
        return kept, self._holdings()

    async def get(self, name: str) -> bytes | None:
        self._prune()
        entry = self._entries.get(name)
        return None if entry is None else entry.data

    async def about(self, name: str) -> KeptPicture | None:
        self._prune()
        entry = self._entries.get(name)
        return None if entry is None else entry.kept

    async def drop(self, name: str) -> Holdings | None:
        self._prune()
        return self._holdings() if self._remove(name) else None

    async def close(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def _watch(self) -> None:
        """Have memory given back also where nobody asks any more."""
        loop = asyncio.get_running_loop()
        if self._watching is not loop:
            self._watching = loop
            loop.call_later(self._seconds + 1, self._look)

    def _look(self) -> None:
        self._watching = None
        self._prune()
        if self._entries:
            self._watch()

    def _prune(self) -> None:
        now = self._clock()
        while self._entries and (oldest := next(iter(self._entries))) and self._entries[oldest].until <= now:
            self._remove(oldest)

    def _remove(self, name: str) -> bool:
        entry = self._entries.pop(name, None)
        self._bytes -= entry.kept.nbytes if entry else 0
        return entry is not None

    def _holdings(self) -> Holdings:
        return Holdings(len(self._entries), self._bytes)
