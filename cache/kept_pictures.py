"""Kept pictures in Redis, for all gateways together.

looksee:picture:{owner}:{sha256}    a hash: the file, and what is known of it; it expires by itself
looksee:pictures                    those that are kept by the time at which they expire, to find the oldest
looksee:picture-bytes               their sizes; under the empty name the sum

All of one change is one script, so that gateways that change something at the same time agree on what there is.
Where Redis itself evicts keys the sum may be wrong for as long as pictures live: then more are kept, or fewer.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import astuple, replace
from typing import Any, TypeVar

from cache.guarded_redis import GuardedRedis
from looksee.core.images import Picture
from looksee.core.kept_pictures import Holdings, KeptPicture

T = TypeVar("T")

_PREFIX, _INDEX, _SIZES = "looksee:picture:", "looksee:pictures", "looksee:picture-bytes"

# KEYS: index, sizes. ARGV: prefix, name, and for `put` further ones. Times are in milliseconds.
_FORGET = """
local function forget(name)
  local size = redis.call('HGET', KEYS[2], name)
  redis.call('ZREM', KEYS[1], name)
  if size then
    redis.call('HDEL', KEYS[2], name)
    redis.call('HINCRBY', KEYS[2], '', -size)
  end
  return redis.call('UNLINK', ARGV[1] .. name)
end
local function holdings()
  return {redis.call('ZCARD', KEYS[1]), tonumber(redis.call('HGET', KEYS[2], '') or 0)}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do forget(name) end
"""
_PUT = (
    _FORGET
    + """
local name, size, seconds = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local most, most_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local expires = now + seconds * 1000
forget(name)
while true do
  local held = holdings()
  if held[1] < most and held[2] + size <= most_bytes then break end
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
  if not oldest then break end
  forget(oldest)
end
redis.call('HSET', ARGV[1] .. name, 'about', ARGV[7], 'expires', math.floor(expires / 1000), 'file', ARGV[8])
redis.call('PEXPIREAT', ARGV[1] .. name, expires)
redis.call('ZADD', KEYS[1], expires, name)
redis.call('HSET', KEYS[2], name, size)
redis.call('HINCRBY', KEYS[2], '', size)
redis.call('PEXPIREAT', KEYS[1], expires + 1)
redis.call('PEXPIREAT', KEYS[2], expires + 1)
local held = holdings()
return {math.floor(expires / 1000), held[1], held[2]}
"""
)
_DROP = (
    _FORGET
    + """
if forget(ARGV[2]) == 0 then return false end
return holdings()
"""
)


class RedisPictures:
    """The store of one gateway process. Every method raises ConnectionError where Redis fails."""

    def __init__(self, redis: GuardedRedis, *, max_pictures: int, max_bytes: int, seconds: int) -> None:
        """At most so many pictures of so many bytes, each for so many seconds after it was last sent."""
        self._redis = redis
        self._limits = (seconds, max_pictures, max_bytes)

    async def put(self, name: str, picture: Picture) -> tuple[KeptPicture, Holdings]:
        kept = KeptPicture.of(picture, 0)
        more = (kept.nbytes, *self._limits, json.dumps(astuple(kept)[:-1]), picture.data)
        expires, count, size = await self._called(lambda: self._script(_PUT, name, *more))
        return replace(kept, expires_at=int(expires)), Holdings(int(count), int(size))

    async def get(self, name: str) -> bytes | None:
        found = await self._called(lambda: self._client.hget(_PREFIX + name, "file"))
        return found if isinstance(found, bytes) else None

    async def about(self, name: str) -> KeptPicture | None:
        about, expires = await self._called(lambda: self._client.hmget(_PREFIX + name, "about", "expires"))
        try:
            digest, nbytes, media_type, width, height = json.loads(about)
            return KeptPicture(digest, nbytes, media_type, width, height, int(expires))
        except (TypeError, ValueError):
            return None

    async def drop(self, name: str) -> Holdings | None:
        found = await self._called(lambda: self._script(_DROP, name))
        return None if found is None else Holdings(*map(int, found))

    async def close(self) -> None:
        await self._redis.close()

    @property
    def _client(self) -> Any:
        return self._redis.client

    def _script(self, script: str, name: str, *more: Any) -> Awaitable[Any]:
        called: Awaitable[Any] = self._client.eval(script, 2, _INDEX, _SIZES, _PREFIX, name, *more)
        return called

    async def _called(self, call: Callable[[], Awaitable[T]]) -> T:
        async def wrapped() -> tuple[T]:  # None is an answer too
            return (await call(),)

        found = await self._redis.call(wrapped)
        if found is None:
            raise ConnectionError
        return found[0]
