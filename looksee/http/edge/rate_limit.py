"""Requests per minute of each client, counted in Redis for all gateways together.

While there is no Redis, or it does not answer at once, each process counts for itself: a request never fails or waits
for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from limits.aio.storage import MemoryStorage, RedisStorage

from cache.guarded_redis import GuardedRedis
from looksee.core import errors

_PREFIX = "looksee:rate"
_WINDOW = 60  # seconds
_MOMENT = 0.01  # seconds: at the very end of its wait a request is still refused


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request may pass, how many more may, and seconds until the next one may."""

    allowed: bool
    remaining: int
    wait: float


class RateLimit:
    """A minute that slides: of the last window's requests as many count as its part in the last 60 s.

    Two counters a client, whatever the limit is, where a list of times would grow with it.
    """

    def __init__(self, per_minute: int, redis: GuardedRedis) -> None:
        self._limit, self._redis = per_minute, redis
        self._here = MemoryStorage()
        self._shared: RedisStorage | None = None
        if redis.client is not None:
            # On the connections that are there: the address only says which kind of server it is.
            options: dict[str, Any] = {"connection_pool": redis.client.connection_pool}
            self._shared = RedisStorage("redis://", implementation="redispy", key_prefix=_PREFIX, **options)

    async def take(self, client: str, told: dict[str, str]) -> None:
        """Count a request, or raise RateLimited. `told` gets the headers that tell the client of its allowance."""
        shared = self._shared
        allowance = await self._redis.call(lambda: self._ask(shared, client)) if shared else None
        if allowance is None:
            allowance = await self._ask(self._here, client)
        told["X-RateLimit-Limit"] = str(self._limit)
        told["X-RateLimit-Remaining"] = str(allowance.remaining)
        if not allowance.allowed:
            raise errors.RateLimited(
                f"At most {self._limit} requests a minute are answered; try again later.",
                retry_after=math.ceil(allowance.wait + _MOMENT),
            )

    async def _ask(self, storage: MemoryStorage | RedisStorage, client: str) -> Allowance:
        allowed = await storage.acquire_sliding_window_entry(client, self._limit, _WINDOW)
        last, last_left, current, current_left = await storage.get_sliding_window(client, _WINDOW)
        remaining = self._limit - current - int(last * last_left / _WINDOW)
        # The last window's requests cease to count one by one. Where none does any more, the current one is full by
        # itself, and begins to do so when it is the last one.
        wait = last_left % (_WINDOW / last) if last else current_left - _WINDOW
        return Allowance(allowed, max(0, remaining), max(0.0, wait))
