"""Kept pictures in Redis and in a process: the same rules, and what becomes of them when Redis fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from cache.guarded_redis import GuardedRedis
from cache.kept_pictures import RedisPictures
from looksee.core import errors
from looksee.core.images import ImageLimits, Picture, examine
from looksee.core.kept_pictures import Holdings, KeptPicture
from looksee.gateway.kept_pictures import KeptPictures, PictureStore
from looksee.gateway.local_pictures import LocalPictures
from tests.cache.redis_server import RedisServer, unused_url
from tests.support.files import plain
from tests.support.loops import run

USUAL: dict[str, Any] = {"max_pictures": 9, "max_bytes": 10**6, "seconds": 60}
LIMITS = ImageLimits(10**6, 10**6, 1)
SIZE = 1000


def picture(number: int, size: int = SIZE) -> Picture:
    """A file of so many bytes; behind a picture's end anything may stand."""
    file = plain(colour=(number, 0, 0))
    return examine(file + bytes(size - len(file)), LIMITS)


ONE, TWO, THREE = map(picture, (1, 2, 3))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


Scenario = Callable[[PictureStore], Awaitable[None]]
Run = Callable[..., None]


@asynccontextmanager
async def in_redis(url: str, **limits: Any) -> AsyncIterator[RedisPictures]:
    store = RedisPictures(GuardedRedis(url, timeout=5), **USUAL | limits)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=["redis", "process"])
def against(request: pytest.FixtureRequest, server: RedisServer) -> Run:
    """Runs a scenario with an empty store of this kind."""

    def go(scenario: Scenario, **limits: Any) -> None:
        async def main() -> None:
            if request.param == "process":
                await scenario(LocalPictures(**USUAL | limits))
                return
            async with Redis.from_url(server.url) as redis:
                await redis.flushdb()
            async with in_redis(server.url, **limits) as store:
                await scenario(store)

        run(main())

    return go


def test_what_is_put_is_found_until_it_is_dropped(against: Run) -> None:
    async def scenario(store: PictureStore) -> None:
        kept, holdings = await store.put("a", ONE)
        assert kept == KeptPicture(ONE.digest, SIZE, "image/png", 20, 10, kept.expires_at)
        assert 58 <= kept.expires_at - time.time() <= 61
        assert holdings == Holdings(1, SIZE)
        assert await store.get("a") == ONE.data
        assert await store.about("a") == kept
        assert [await store.get("b"), await store.about("b"), await store.drop("b")] == [None] * 3
        assert await store.drop("a") == Holdings(0, 0)
        assert [await store.get("a"), await store.about("a"), await store.drop("a")] == [None] * 3

    against(scenario)


def test_the_oldest_give_way_to_number_and_bytes(against: Run) -> None:
    async def by_number(store: PictureStore) -> None:
        await store.put("a", ONE)
        await store.put("b", TWO)
        await asyncio.sleep(0.01)  # times are in milliseconds
        await store.put("a", ONE)  # sent again: now the youngest
        _, holdings = await store.put("c", THREE)
        assert holdings == Holdings(2, 2 * SIZE)
        assert [await store.get(name) is not None for name in "abc"] == [True, False, True]

    against(by_number, max_pictures=2)

    async def by_bytes(store: PictureStore) -> None:
        for name, one in (("a", ONE), ("b", TWO)):
            await store.put(name, one)
        _, holdings = await store.put("large", picture(4, 2 * SIZE))
        assert holdings == Holdings(1, 2 * SIZE)
        assert await store.get("large") is not None

    against(by_bytes, max_bytes=2 * SIZE + 1)


def test_each_expires_by_itself_and_gives_back_its_bytes(against: Run) -> None:
    async def scenario(store: PictureStore) -> None:
        await store.put("a", ONE)
        async with asyncio.timeout(30):
            while await store.get("a") is not None:  # noqa: ASYNC110 (it has no event)
                await asyncio.sleep(0.05)
        assert await store.about("a") is None
        _, holdings = await store.put("b", TWO)
        assert holdings == Holdings(1, SIZE)

    against(scenario, seconds=1)


def test_a_process_gives_memory_back_though_nobody_asks() -> None:
    async def main() -> None:
        store = LocalPictures(max_pictures=9, max_bytes=10**6, seconds=0)
        await store.put("a", ONE)
        async with asyncio.timeout(30):
            while store._entries:  # noqa: ASYNC110 (it has no event)
                await asyncio.sleep(0.05)

    run(main())


def test_all_gateways_see_one_store(server: RedisServer) -> None:
    async def main() -> None:
        async with in_redis(server.url) as one, in_redis(server.url) as other:
            await one.put("x", ONE)
            assert await other.get("x") == ONE.data
            await asyncio.gather(*(store.put(f"x{number}", TWO) for number in range(20) for store in (one, other)))
            _, holdings = await other.put("last", THREE)
            assert holdings == Holdings(9, 9 * SIZE)

    run(main())


def test_nothing_stays_in_redis_beyond_its_time(server: RedisServer) -> None:
    async def main() -> None:
        async with Redis.from_url(server.url) as redis, in_redis(server.url) as store:
            await redis.flushdb()
            await store.put("x", ONE)
            assert len(keys := await redis.keys()) == 3
            assert all([0 < await redis.ttl(key) <= 61 for key in keys])

    run(main())


def test_a_redis_that_is_gone_is_told_apart_from_a_picture_that_is() -> None:
    async def main() -> None:
        async with in_redis(unused_url()) as store:
            pictures = KeptPictures(store)
            for work in (
                pictures.keep("", ONE),
                pictures.file("", ONE.digest, param="image"),
                pictures.about("", ONE.digest, param="id"),
                pictures.drop("", ONE.digest, param="id"),
            ):
                with pytest.raises(errors.CacheUnavailable, match="send the picture itself") as caught:
                    await work
                assert caught.value.retry_after

    run(main())


def test_what_another_wrote_under_an_id_is_not_believed(server: RedisServer) -> None:
    async def main() -> None:
        async with Redis.from_url(server.url) as redis, in_redis(server.url) as store:
            pictures = KeptPictures(store)
            await pictures.keep("me", ONE)
            await redis.hset(f"looksee:picture:me:{ONE.digest}", "file", TWO.data)
            with pytest.raises(errors.PictureNotFound):
                await pictures.file("me", ONE.digest, param="image")

    run(main())


def test_a_picture_larger_than_all_room_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(errors.FileTooLarge, match="LOOKSEE_MAX_KEPT_BYTES"):
            await KeptPictures(max_bytes=SIZE - 1).keep("", ONE)

    run(main())
