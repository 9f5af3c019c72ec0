"""Requests per minute of each client, counted in Redis for all gateways together.

While there is no Redis, or it does not answer at once, each process counts for itself: a request never fails or waits
for it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

import errors
from cache.guarded import GuardedRedis

_PREFIX = "looksee:rate"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request may pass, how many more may, and seconds until the next one may."""

    allowed: bool
    remaining: int
    wait: float


class RateLimit:
    """A minute that slides: the last window counts as much as of it lies within the last 60 s.

    Two counters a client, whatever the limit is, where a list of times would grow with it.
    """

    def __init__(self, per_minute: int, redis: GuardedRedis) -> None:
        self._redis = redis
        self._item = RateLimitItemPerMinute(per_minute)
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared: SlidingWindowCounterRateLimiter | None = None
        if redis.client is not None:
            # On the cache's own connections: the address only says which kind of server it is.
            options: dict[str, Any] = {"connection_pool": redis.client.connection_pool}
            storage = RedisStorage("redis://", implementation="redispy", key_prefix=_PREFIX, **options)
            self._shared = SlidingWindowCounterRateLimiter(storage)

    async def take(self, client: str, told: dict[str, str]) -> None:
        """Count a request, or raise RateLimited. `told` gets the headers that tell the client of its allowance."""
        shared = self._shared
        allowance = await self._redis.call(lambda: self._ask(shared, client)) if shared else None
        if allowance is None:
            allowance = await self._ask(self._here, client)
        told["X-RateLimit-Limit"] = str(self._item.amount)
        told["X-RateLimit-Remaining"] = str(allowance.remaining)
        if not allowance.allowed:
            raise errors.RateLimited(
                f"At most {self._item.amount} requests a minute are answered; try again later.",
                retry_after=max(1, math.ceil(allowance.wait)),
            )

    async def _ask(self, limiter: SlidingWindowCounterRateLimiter, client: str) -> Allowance:
        allowed = await limiter.hit(self._item, client)
        window = await limiter.get_window_stats(self._item, client)
        return Allowance(allowed, window.remaining, window.reset_time - time.time())
