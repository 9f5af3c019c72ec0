"""Answers in Redis. Nothing here ever fails a request: a Redis that is down, hung or wrong is a miss, soon no call.

redis-py's defaults would wait 5 to 30 s for a Redis that is gone; here each call has one short timeout and no retry,
and a breaker leaves a failing Redis alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from prometheus_client import Gauge
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from cache.breaker import Breaker
from cache.keys import PATTERNS
from vision.tasks import Outcome

logger = logging.getLogger("looksee.cache")

T = TypeVar("T")

_LARGEST_VALUE = 64 * 1024  # bytes
_SCAN_COUNT = 1000
_OUTCOME = TypeAdapter(Outcome)
_ADMIN_TIMEOUT = 10.0  # seconds: emptying a large cache takes a while
_UP = Gauge("looksee_redis_up", "Whether the last calls to Redis worked", multiprocess_mode="livemin")


class Lookaside:
    """The cache of one gateway process. Without a `url` it is off: every lookup misses, nothing is stored."""

    def __init__(self, url: str, *, ttl: int, timeout: float, breaker: Breaker | None = None) -> None:
        """`ttl` in seconds, `timeout` of one call in seconds."""
        self._ttl, self._timeout = ttl, timeout
        self._breaker = breaker or Breaker()
        self._redis: Redis | None = None
        self._url = url
        if url:
            self._redis = _client(url, timeout)

    @property
    def state(self) -> Literal["up", "down", "off"]:
        if self._redis is None:
            return "off"
        return "down" if self._breaker.tripped else "up"

    async def get(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """The outcomes stored under `keys`; a value that is not one of ours is left out."""
        redis = self._redis
        if redis is None or not keys:
            return {}
        values = await self._call(lambda: redis.mget(keys), self._timeout)
        if not isinstance(values, list) or len(values) != len(keys):
            return {}
        found = {key: _read(value) for key, value in zip(keys, values, strict=True) if value is not None}
        return {key: outcome for key, outcome in found.items() if outcome is not None}

    async def put(self, outcomes: Mapping[str, Outcome]) -> None:
        """Store whole answers. Too large ones, and a text that is not Unicode, are not stored."""
        redis = self._redis
        if redis is None:
            return
        written = {key: _written(outcome) for key, outcome in outcomes.items()}
        values = {key: value for key, value in written.items() if value is not None and len(value) <= _LARGEST_VALUE}
        if not values:
            return

        async def store() -> None:
            if len(values) == 1:  # most requests; a pipeline costs more than it saves
                ((key, value),) = values.items()
                await redis.set(key, value, ex=self._ttl)
                return
            async with redis.pipeline(transaction=False) as pipeline:
                for key, value in values.items():
                    pipeline.set(key, value, ex=self._ttl)
                await pipeline.execute()

        await self._call(store, self._timeout)

    async def ping(self) -> Literal["up", "down", "off"]:
        """Ask Redis itself."""
        redis = self._redis
        if redis is None:
            return "off"
        return "up" if await self._call(redis.ping, self._timeout) else "down"

    async def clear(self, *, whole_database: bool) -> int | None:
        """Delete this service's entries, or all there is in the database; how many, or None if Redis did not answer."""
        if self._redis is None:
            return 0
        async with _client(self._url, _ADMIN_TIMEOUT) as redis:
            return await self._call(lambda: _clear(redis, whole_database), _ADMIN_TIMEOUT)

    async def size(self) -> tuple[int, int] | None:
        """How many entries of this service there are, and the bytes they take; None if Redis did not answer."""
        if self._redis is None:
            return 0, 0
        async with _client(self._url, _ADMIN_TIMEOUT) as redis:
            return await self._call(lambda: _size(redis), _ADMIN_TIMEOUT)

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def _call(self, call: Callable[[], Awaitable[T]], timeout: float) -> T | None:
        """The call's result; None when it failed, took too long or was not made."""
        if not self._breaker.allow():
            return None
        try:
            async with asyncio.timeout(timeout):
                result = await call()
        except Exception as error:  # whatever a broken Redis, or something else on its port, makes the client raise
            if not self._breaker.tripped:
                logger.warning("redis: %s: %s", type(error).__name__, error)
            self._breaker.failed()
            _UP.set(0)
            return None
        self._breaker.succeeded()
        _UP.set(1)
        return result


def _client(url: str, timeout: float) -> Redis:
    """A client that gives up after `timeout` seconds and, to be there in time, greets a new connection briefly."""
    return Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )


async def _clear(redis: Redis, whole_database: bool) -> int:
    if whole_database:
        count = int(await redis.dbsize())
        await redis.flushdb(asynchronous=True)
        return count
    deleted = 0
    async for batch in _keys(redis):
        deleted += int(await redis.unlink(*batch))
    return deleted


async def _size(redis: Redis) -> tuple[int, int]:
    sizes: dict[bytes, int] = {}  # a scan may name a key twice
    async for batch in _keys(redis):
        async with redis.pipeline(transaction=False) as pipeline:
            for key in batch:
                pipeline.memory_usage(key, samples=0)
            found = zip(batch, await pipeline.execute(), strict=True)
        sizes.update((key, size) for key, size in found if size is not None)  # else it has just expired
    return len(sizes), sum(sizes.values())


async def _keys(redis: Redis) -> AsyncIterator[list[bytes]]:
    """The keys of this service's entries, many at a time."""
    for pattern in PATTERNS:
        batch: list[bytes] = []
        async for key in redis.scan_iter(match=pattern, count=_SCAN_COUNT):
            batch.append(key)
            if len(batch) == _SCAN_COUNT:
                yield batch
                batch = []
        if batch:
            yield batch


def _written(outcome: Outcome) -> bytes | None:
    try:
        return _OUTCOME.dump_json(outcome)
    except PydanticSerializationError:  # half of a surrogate pair
        return None


def _read(value: Any) -> Outcome | None:
    try:
        return _OUTCOME.validate_json(value, strict=True)
    except ValidationError:
        return None
