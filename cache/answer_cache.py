"""Answers in Redis. Nothing here raises: a Redis that is down, hung or wrong is a miss, and soon is not called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from redis.asyncio import Redis

from cache import keys as cache_keys
from cache.guarded_redis import GuardedRedis
from cache.keys import PATTERNS
from looksee.core.tasks import Answer, Identity, Job

_MAX_VALUE_BYTES = 64 * 1024
_SCAN_COUNT = 1000
_ANSWER = TypeAdapter(Answer)
_ADMIN_TIMEOUT = 10.0  # seconds: clearing a large cache takes long


class RedisAnswerCache:
    """The cache of one gateway process. Without a Redis it is off: every lookup is a miss, nothing is stored."""

    def __init__(self, redis: GuardedRedis, *, ttl: int) -> None:
        """`ttl`: seconds that an answer is kept after it was stored."""
        self._redis, self._ttl = redis, ttl

    @property
    def state(self) -> Literal["up", "down", "off"]:
        """Whether the latest calls to Redis worked."""
        return self._redis.state

    def key(self, job: Job, digests: Sequence[str], identity: Identity) -> str | None:
        """What the answer to `job` is stored under; None where it is not stored (`cache.keys`)."""
        return cache_keys.key(job, digests, identity)

    async def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers stored under `keys`; a key without one, or with a value that is no answer, is left out."""
        redis = self._redis.client
        if redis is None or not keys:
            return {}
        values = await self._redis.call(lambda: redis.mget(keys))
        if not isinstance(values, list) or len(values) != len(keys):
            return {}
        found = {key: _decoded(value) for key, value in zip(keys, values, strict=True) if value is not None}
        return {key: answer for key, answer in found.items() if answer is not None}

    async def put(self, answers: Mapping[str, Answer]) -> None:
        """Store answers, except those over 64 KiB and those whose text is no valid Unicode."""
        redis = self._redis.client
        if redis is None:
            return
        encoded = {key: _encoded(answer) for key, answer in answers.items()}
        values = {key: value for key, value in encoded.items() if value is not None and len(value) <= _MAX_VALUE_BYTES}
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

        await self._redis.call(store)

    async def ping(self) -> Literal["up", "down", "off"]:
        """Whether Redis answers now."""
        redis = self._redis.client
        if redis is None:
            return "off"
        return "up" if await self._redis.call(redis.ping) else "down"

    async def clear(self, *, whole_database: bool) -> int | None:
        """Delete this service's entries, or the whole database; returns how many, None if Redis did not answer."""
        if self._redis.client is None:
            return 0
        async with self._redis.client_with_timeout(_ADMIN_TIMEOUT) as redis:
            return await self._redis.call(lambda: _clear(redis, whole_database), timeout=_ADMIN_TIMEOUT)

    async def size(self) -> tuple[int, int] | None:
        """The number of this service's entries and the bytes they take in Redis; None if Redis did not answer."""
        if self._redis.client is None:
            return 0, 0
        async with self._redis.client_with_timeout(_ADMIN_TIMEOUT) as redis:
            return await self._redis.call(lambda: _size(redis), timeout=_ADMIN_TIMEOUT)


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
        sizes.update((key, size) for key, size in found if size is not None)  # None: it has just expired
    return len(sizes), sum(sizes.values())


async def _keys(redis: Redis) -> AsyncIterator[list[bytes]]:
    """The keys of this service's entries, in batches of `_SCAN_COUNT` at most."""
    for pattern in PATTERNS:
        batch: list[bytes] = []
        async for key in redis.scan_iter(match=pattern, count=_SCAN_COUNT):
            batch.append(key)
            if len(batch) == _SCAN_COUNT:
                yield batch
                batch = []
        if batch:
            yield batch


def _encoded(answer: Answer) -> bytes | None:
    try:
        return _ANSWER.dump_json(answer)
    except PydanticSerializationError:  # the text has half of a surrogate pair
        return None


def _decoded(value: Any) -> Answer | None:
    try:
        answer = _ANSWER.validate_json(value, strict=True)
    except ValidationError:
        return None
    # Boxes and points were stored without confidences once: they are found again.
    return answer if len(answer.confidences) == len(answer.boxes) + len(answer.points) else None
