"""Requests per minute of each client, counted in Redis for all gateways together.

Without a Redis, or while it does not answer at once, each process counts for itself: no request fails or waits because
of it.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from limits.aio.storage import RedisStorage

from looksee.core import errors

_PREFIX = "looksee:rate"
_WINDOW = 60  # seconds
_MOMENT = 0.01  # seconds added to a wait, at whose very end a request is still refused


T = TypeVar("T")


class SharedRedis(Protocol):
    """A Redis that may fail at any time: a call that fails gives None."""

    @property
    def client(self) -> Any:
        """redis-py's asyncio client, for its connection pool; None where there is no Redis."""

    async def call(self, call: Callable[[], Awaitable[T]], /) -> T | None:
        """The call's result; None when it failed, took too long or was not made."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request may pass, how many more may, and seconds until the next one may."""

    allowed: bool
    remaining: int
    wait: float


class _HereStorage:
    """The counts of this process, as `RedisStorage` keeps them in Redis. The clock is the monotonic one: a clock of the
    machine that is set right gives no client its requests back, and refuses none.
    """

    def __init__(self) -> None:
        self._number = 0  # of the current window
        self._last: Counter[str] = Counter()
        self._current: Counter[str] = Counter()

    async def acquire_sliding_window_entry(self, client: str, limit: int, seconds: int) -> bool:
        """Count a request of `client`, if it may pass."""
        last, last_left, current, _ = await self.get_sliding_window(client, seconds)
        if int(last * last_left / seconds) + current >= limit:
            return False
        self._current[client] += 1
        return True

    async def get_sliding_window(self, client: str, seconds: int) -> tuple[int, float, int, float]:
        """The requests of the last window, seconds until none of them counts, and the same of the current one."""
        number, since = divmod(time.monotonic(), seconds)
        if number != self._number:
            follows = number == self._number + 1
            self._last, self._current = (self._current if follows else Counter()), Counter()
            self._number = int(number)
        left = seconds - since
        return self._last[client], left, self._current[client], left + seconds


class RateLimit:
    """A sliding window of a minute, approximated from two counters: the requests of the previous window count by the
    share of that window that lies within the last 60 s. A list of times would grow with the limit.
    """

    def __init__(self, per_minute: int, redis: SharedRedis) -> None:
        self._limit, self._redis = per_minute, redis
        self._here = _HereStorage()
        self._shared: RedisStorage | None = None
        if redis.client is not None:
            # On the client's connections: the address only names the kind of server.
            options: dict[str, Any] = {"connection_pool": redis.client.connection_pool}
            self._shared = RedisStorage("redis://", implementation="redispy", key_prefix=_PREFIX, **options)

    async def take(self, client: str, answer_headers: dict[str, str]) -> None:
        """Count a request, or raise RateLimited. Adds the client's allowance to `answer_headers`."""
        shared = self._shared
        allowance = await self._redis.call(lambda: self._ask(shared, client)) if shared else None
        if allowance is None:
            allowance = await self._ask(self._here, client)
        answer_headers["X-RateLimit-Limit"] = str(self._limit)
        answer_headers["X-RateLimit-Remaining"] = str(allowance.remaining)
        if not allowance.allowed:
            raise errors.RateLimited(
                f"At most {self._limit} requests a minute are answered; try again later.",
                retry_after=math.ceil(allowance.wait + _MOMENT),
            )

    async def _ask(self, storage: _HereStorage | RedisStorage, client: str) -> Allowance:
        allowed = await storage.acquire_sliding_window_entry(client, self._limit, _WINDOW)
        last, last_left, current, current_left = await storage.get_sliding_window(client, _WINDOW)
        remaining = self._limit - current - int(last * last_left / _WINDOW)
        # The last window's requests cease to count one by one. Where none does any more, the current one is full by
        # itself, and begins to do so when it is the last one.
        wait = last_left % (_WINDOW / last) if last else current_left - _WINDOW
        return Allowance(allowed, max(0, remaining), max(0.0, wait))
