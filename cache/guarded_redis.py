"""A Redis client whose calls never raise and never take longer than one short timeout, however broken Redis is.

redis-py's defaults wait 5 to 30 s for a Redis that is gone. Here each call has one timeout and no retry, and a circuit
breaker makes no calls to a failing Redis.
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

from cache.breaker import CircuitBreaker

logger = logging.getLogger("looksee.cache")

T = TypeVar("T")


@functools.cache
def _up() -> Gauge:
    """The least value of all processes is shown: 0 if one of the gateways cannot reach Redis.

    A gauge is 0 once it is made, so it is made at the first call to Redis: a process that imports this module and never
    calls, as runners do, must not show one.
    """
    return Gauge("looksee_redis_up", "Whether each gateway's last call to Redis worked", multiprocess_mode="livemin")


class GuardedRedis:
    """Shared by all users of Redis in a gateway process. Without a `url` there is no Redis: `client` is None."""

    def __init__(self, url: str, *, timeout: float, breaker: CircuitBreaker | None = None) -> None:
        """`timeout`: seconds for one call."""
        self._url, self._timeout = url, timeout
        self._breaker = breaker or CircuitBreaker()
        self.client = self.client_with_timeout(timeout) if url else None

    @property
    def state(self) -> Literal["up", "down", "off"]:
        """Whether the latest calls worked; `off` without a Redis."""
        if self.client is None:
            return "off"
        return "down" if self._breaker.tripped else "up"

    async def call(self, call: Callable[[], Awaitable[T]], *, timeout: float | None = None) -> T | None:
        """The result of `call`; None when it failed, timed out or was not made. `timeout`: seconds, for this call."""
        if not self._breaker.allow():
            return None
        try:
            async with asyncio.timeout(timeout or self._timeout):
                result = await call()
        except Exception as error:  # a broken Redis, or another server on its port, makes the client raise anything
            if not self._breaker.tripped:
                logger.warning("redis: %s: %s", type(error).__name__, error)
            self._breaker.failed()
            _up().set(0)
            return None
        self._breaker.succeeded()
        _up().set(1)
        return result

    def client_with_timeout(self, timeout: float) -> Redis:
        """A new client with this timeout in seconds. The caller closes it.

        With `protocol=2` and without `driver_info` it skips HELLO and CLIENT SETINFO: on a new connection these round
        trips alone could use up the timeout.
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
