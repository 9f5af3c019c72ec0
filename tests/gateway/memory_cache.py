"""A cache that is a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from cache.answer_cache import RedisAnswerCache
from cache.guarded_redis import GuardedRedis
from looksee.core.tasks import Answer


class Shelf(RedisAnswerCache):
    """Remembers what it was asked for; never fails, never forgets."""

    def __init__(self) -> None:
        super().__init__(GuardedRedis("", timeout=1), ttl=1)
        self.stored: dict[str, Answer] = {}
        self.asked: list[list[str]] = []

    async def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        self.asked.append(list(keys))
        await asyncio.sleep(0)
        return {key: self.stored[key] for key in keys if key in self.stored}

    async def put(self, outcomes: Mapping[str, Answer]) -> None:
        await asyncio.sleep(0)
        self.stored.update(outcomes)
