"""A Redis that may be down, hung or wrong at any time and never costs its user more than a moment.

redis-py's defaults would wait 5 to 30 s for a Redis that is gone; here each call has one short timeout and no retry,
and a breaker leaves a failing Redis alone.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from cache.breaker import Breaker

logger = logging.getLogger("looksee.cache")

T = TypeVar("T")


@functools.cache
def _up() -> Gauge:
    """Of all processes that have it the least is shown: 0 if one of the gateways cannot reach Redis.

    A gauge is 0 from the moment it is made, so it is made at the first call to Redis: runners import this module too,
    and never call.
    """
    return Gauge("looksee_redis_up", "Whether each gateway's last call to Redis worked", multiprocess_mode="livemin")


class GuardedRedis:
    """One for each gateway process, whoever of it uses Redis. Without a `url` there is none: `client` is None."""

    def __init__(self, url: str, *, timeout: float, breaker: Breaker | None = None) -> None:
        """`timeout` of one call in seconds."""
        self._url, self._timeout = url, timeout
        self._breaker = breaker or Breaker()
        self.client = self.patient_client(timeout) if url else None

    @property
    def state(self) -> Literal["up", "down", "off"]:
        if self.client is None:
            return "off"
        return "down" if self._breaker.tripped else "up"

    async def call(self, call: Callable[[], Awaitable[T]], *, timeout: float | None = None) -> T | None:
        """The call's result; None when it failed, took too long or was not made. `timeout` in seconds."""
        if not self._breaker.allow():
            return None
        try:
            async with asyncio.timeout(timeout or self._timeout):
                result = await call()
        except Exception as error:  # whatever a broken Redis, or something else on its port, makes the client raise
            if not self._breaker.tripped:
                logger.warning("redis: %s: %s", type(error).__name__, error)
            self._breaker.failed()
            _up().set(0)
            return None
        self._breaker.succeeded()
        _up().set(1)
        return result

    def patient_client(self, timeout: float) -> Redis:
        """A client of its own that gives up after `timeout` seconds and, to be there in time, greets a new connection
        briefly.
        """
        return Redis.from_url(
            self._url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )

    async def close(self) -> None:
        if self.client is not None:
            await self.client.aclose()
