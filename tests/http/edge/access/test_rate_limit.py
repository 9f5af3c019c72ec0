"""Requests a minute: counted in Redis for all, here while there is none, and a wait that is true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from redis.asyncio import Redis

from cache.guarded_redis import GuardedRedis
from looksee.core import errors
from looksee.http.edge.access import rate_limit
from looksee.http.edge.access.rate_limit import RateLimit
from tests.cache.redis_server import RedisServer, WatchedBreaker, impostor, unused_url
from tests.support.loops import run


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def passed(rate: RateLimit, count: int, client: str = "a") -> int:
    """How many of `count` requests pass."""
    refused = 0
    for _ in range(count):
        try:
            await rate.take(client, {})
        except errors.RateLimited:
            refused += 1
    return count - refused


def test_gateways_share_a_redis_and_it_keeps_no_key_for_long(server: RedisServer) -> None:
    async def main() -> None:
        one, other = GuardedRedis(server.url, timeout=5), GuardedRedis(server.url, timeout=5)
        assert await passed(RateLimit(5, one), 3) == 3
        assert await passed(RateLimit(5, other), 3) == 2
        assert await passed(RateLimit(5, other), 3, "b") == 3
        async with Redis.from_url(server.url) as redis:
            keys: list[bytes] = await redis.keys("*")  # type: ignore[assignment]
            assert keys
            assert all(key.startswith(b"looksee:rate") for key in keys)
            assert all([0 < await redis.ttl(key) <= 120 for key in keys])
        await one.close()
        await other.close()

    run(main())


def test_many_at_once_are_counted_exactly(server: RedisServer) -> None:
    async def main() -> None:
        redis = GuardedRedis(server.url, timeout=5)
        rate = RateLimit(10, redis)
        assert sum(await asyncio.gather(*(passed(rate, 1) for _ in range(40)))) == 10
        await redis.close()

    run(main())


def test_while_redis_is_away_each_counts_for_itself_and_with_redis_again_when_it_is_back(server: RedisServer) -> None:
    async def main() -> None:
        redis = GuardedRedis(server.url, timeout=5)
        rate = RateLimit(4, redis)
        assert await passed(rate, 2) == 2
        server.stop()
        assert await passed(rate, 6) == 4
        server.start()
        await asyncio.sleep(1.1)  # the breaker's first rest
        assert await passed(rate, 6) == 4  # a new Redis has forgotten all, scripts too
        await redis.close()

    run(main(), seconds=20)


@pytest.mark.parametrize("reply", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b":1\r\n"])
def test_a_redis_that_hangs_or_is_none_costs_a_moment_and_no_error(reply: bytes | None) -> None:
    async def main() -> None:
        async with impostor(lambda _: reply) as url:
            breaker = WatchedBreaker()
            redis = GuardedRedis(url, timeout=0.05, breaker=breaker)
            rate = RateLimit(50, redis)
            assert await passed(rate, 60) == 50
            assert breaker.events == ["allowed", "failed"] * 3 + ["kept away"] * 57
            await redis.close()

    run(main())


@pytest.mark.parametrize("url", ["", "unused"])
def test_without_a_redis_it_counts_here(url: str) -> None:
    async def main() -> None:
        redis = GuardedRedis(unused_url() if url else "", timeout=0.05)
        assert await passed(RateLimit(3, redis), 5) == 3
        await redis.close()

    run(main())


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("offset", [0.0, 13.7, 44.0])
def test_who_waits_as_long_as_told_passes_and_who_comes_earlier_does_not(
    limit: int, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_700_000_040.0 + offset]  # a whole number of minutes, and some seconds
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def refusal(rate: RateLimit) -> errors.RateLimited | None:
        try:
            await rate.take("a", {})
        except errors.RateLimited as error:
            return error
        return None

    async def main() -> None:
        rate = RateLimit(limit, GuardedRedis("", timeout=1))
        for _ in range(limit):
            assert await refusal(rate) is None
        for _ in range(3 * limit):
            refused = await refusal(rate)
            assert refused is not None
            assert refused.retry_after is not None
            now[0] += refused.retry_after - 1.2
            assert refused.retry_after == 1 or await refusal(rate) is not None
            now[0] += 1.2
            assert await refusal(rate) is None
        await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("jump", [-86400.0, -61.0, 61.0, 86400.0])
def test_a_clock_that_is_set_gives_nobody_requests_and_takes_none(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])

    async def main() -> None:
        rate = RateLimit(4, GuardedRedis("", timeout=1))
        assert await passed(rate, 2) == 2
        ahead[0] = jump
        assert await passed(rate, 3) == 2
        with pytest.raises(errors.RateLimited) as refused:
            await rate.take("a", {})
        assert refused.value.retry_after is not None
        assert 0 < refused.value.retry_after <= 61
        ahead[0] = 0.0
        assert await passed(rate, 1) == 0

    run(main())


def test_counts_of_clients_that_are_gone_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def main() -> None:
        rate = RateLimit(4, GuardedRedis("", timeout=1))
        for minute in range(5):
            now[0] = 60.0 * minute
            for number in range(100):
                await rate.take(f"{minute}-{number}", {})
        assert len(rate._here._last) + len(rate._here._current) == 200

    run(main())
