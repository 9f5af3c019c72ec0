"""The cache against a real Redis, one that is gone, one that hangs, and something else on its port."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from redis.asyncio import Redis

from cache.answer_cache import RedisAnswerCache
from cache.breaker import CircuitBreaker
from cache.guarded_redis import GuardedRedis
from looksee.core.geometry import Box, Point
from looksee.core.scoring.tokens import TokenChance, TokenScore
from looksee.core.tasks import Answer, Grounding, Reasoning
from tests.cache.redis_server import RedisServer, WatchedBreaker, impostor, unused_url
from tests.support.loops import PATIENCE, run

ONE = Answer("a red circle", "stop", 2, 5)
TWO = Answer("eine gr\u00fcne \u4e2d \U0001f600 'Katze'", "length", 0, 20)
FOUND = Answer(
    "",
    "stop",
    4,
    12,
    boxes=(Box(0.0, 0.1, 1.0, 1 / 3), Box(0.25, 0.5, 0.75, 1.0)),
    points=(Point(0.5, 0.1 + 0.2),),
    confidences=(0.123456789, 1.0, 0.0),
    tokens=(TokenScore(TokenChance(b"\xc3", -0.25), (TokenChance(b"\xff\x00", -9999.0),)),),
    reasoning=Reasoning("It is \u4e2d.", (Grounding(0, 5, (Point(0.0, 1.0), Point(0.1, 0.9))), Grounding(5, 6, ()))),
)
KEY, OTHER = f"v1:img:{'ab' * 32}:{'01' * 16}", f"v1:img:{'cd' * 32}:{'23' * 16}"

Scenario = Callable[[RedisAnswerCache, Redis], Awaitable[None]]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@asynccontextmanager
async def cache_at(
    url: str, *, ttl: int = 60, timeout: float = 0.05, breaker: CircuitBreaker | None = None
) -> AsyncIterator[RedisAnswerCache]:
    redis = GuardedRedis(url, timeout=timeout, breaker=breaker)
    try:
        yield RedisAnswerCache(redis, ttl=ttl)
    finally:
        await redis.close()


def against(server: RedisServer, scenario: Scenario, *, ttl: int = 60) -> None:
    """Run a scenario with a cache and a plain client on an empty Redis."""

    async def main() -> None:
        # A long timeout: a busy machine must not look like a broken Redis here.
        async with cache_at(server.url, ttl=ttl, timeout=5) as cache, Redis.from_url(server.url) as redis:
            await redis.flushall()
            await scenario(cache, redis)

    run(main(), seconds=20)


# --- a Redis that works ----------------------------------------------------------------------------------------------


def test_what_is_put_is_got(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, _: Redis) -> None:
        await cache.put({KEY: ONE, OTHER: TWO})
        assert await cache.get([KEY, OTHER]) == {KEY: ONE, OTHER: TWO}
        assert await cache.get([OTHER, "v1:img:none:none", KEY]) == {KEY: ONE, OTHER: TWO}
        assert await cache.get(["v1:img:none:none"]) == {}
        assert await cache.get([]) == {}
        assert cache.state == "up"
        assert await cache.ping() == "up"

    against(server, scenario)


def test_boxes_points_and_thoughts_are_got_as_they_were_put(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, _: Redis) -> None:
        await cache.put({KEY: FOUND})
        got = (await cache.get([KEY]))[KEY]
        assert got == FOUND
        assert type(got.boxes) is tuple
        assert {type(box) for box in got.boxes} == {Box}
        assert got.points[0].y == FOUND.points[0].y
        assert got.reasoning is not None
        assert type(got.reasoning.grounding[0].points[0]) is Point

    against(server, scenario)


def test_a_second_put_replaces_the_first(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, _: Redis) -> None:
        await cache.put({KEY: ONE})
        await cache.put({KEY: TWO})
        assert await cache.get([KEY]) == {KEY: TWO}

    against(server, scenario)


def test_an_entry_expires_after_the_ttl(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        await cache.put({KEY: ONE, OTHER: TWO})
        for key in (KEY, OTHER):
            assert 1233 <= await redis.ttl(key) <= 1234
        await redis.flushall()
        await cache.put({KEY: ONE})  # a single one takes another way
        assert 1233 <= await redis.ttl(KEY) <= 1234
        await redis.expire(KEY, 5)
        assert await cache.get([KEY]) == {KEY: ONE}
        assert await redis.ttl(KEY) <= 5  # reading does not renew it

    against(server, scenario, ttl=1234)


def test_what_is_stored_is_plain_json(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        await cache.put({KEY: TWO})
        stored = await redis.get(KEY)
        assert isinstance(stored, bytes)
        assert json.loads(stored) == {
            "text": TWO.text,
            "finish": "length",
            "prompt_tokens": 0,
            "new_tokens": 20,
            "boxes": [],
            "points": [],
            "reasoning": None,
            "confidences": [],
            "tokens": [],
        }
        assert await redis.keys("*") == [KEY.encode()]

    against(server, scenario)


def test_too_large_answers_are_not_stored(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        await cache.put({KEY: Answer("x" * (64 * 1024), "stop", 1, 1), OTHER: ONE})
        assert await redis.keys("*") == [OTHER.encode()]
        await cache.put({KEY: Answer("\u4e2d" * 22_000, "stop", 1, 1)})  # bytes count, not characters
        assert await redis.keys("*") == [OTHER.encode()]
        large = Answer("x" * (63 * 1024), "stop", 1, 1)
        await cache.put({KEY: large})
        assert await cache.get([KEY]) == {KEY: large}
        await cache.put({})
        assert cache.state == "up"

    against(server, scenario)


GOOD = {"text": "a", "finish": "stop", "prompt_tokens": 1, "new_tokens": 2}
FOREIGN = {
    "empty": b"",
    "not JSON": b"a caption",
    "half of JSON": json.dumps(GOOD).encode()[:-5],
    "not UTF-8": b"\xff\xfe\x00",
    "a pickle": b"\x80\x04\x95\x0b\x00",
    "null": b"null",
    "a number": b"7",
    "a huge number": b"9" * 5000,
    "a text": b'"text"',
    "a list": b'["a", "stop", 1, 2]',
    "an empty object": b"{}",
    "a missing field": json.dumps({"text": "a", "finish": "stop", "prompt_tokens": 1}).encode(),
    "a text that is null": json.dumps({**GOOD, "text": None}).encode(),
    "a text that is a number": json.dumps({**GOOD, "text": 5}).encode(),
    "an unknown finish": json.dumps({**GOOD, "finish": "timeout"}).encode(),
    "a finish that is a list": json.dumps({**GOOD, "finish": ["stop"]}).encode(),
    "tokens as text": json.dumps({**GOOD, "new_tokens": "2"}).encode(),
    "tokens in parts": json.dumps({**GOOD, "new_tokens": 2.0}).encode(),
    "tokens that are true": json.dumps({**GOOD, "prompt_tokens": True}).encode(),
    "a box of three": json.dumps({**GOOD, "boxes": [[0.1, 0.2, 0.3]]}).encode(),
    "a box of before there were confidences": json.dumps({**GOOD, "boxes": [[0.1, 0.2, 0.3, 0.4]]}).encode(),
    "points of before there were confidences": json.dumps({**GOOD, "points": [[0.1, 0.2]]}).encode(),
    "a token that is no base64": json.dumps({**GOOD, "tokens": [{"chosen": {"data": "?", "logprob": 0.0}}]}).encode(),
    "a point as text": json.dumps({**GOOD, "points": [["0.1", "0.2"]]}).encode(),
    "thoughts that are a text": json.dumps({**GOOD, "reasoning": "so"}).encode(),
    "NaN": b'{"text": "a", "finish": "stop", "prompt_tokens": NaN, "new_tokens": 2}',
}


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_value_is_a_miss(server: RedisServer, value: bytes) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        await redis.set(KEY, value)
        await redis.set(OTHER, json.dumps(GOOD))
        assert await cache.get([KEY, OTHER]) == {OTHER: Answer("a", "stop", 1, 2)}
        assert cache.state == "up"
        await cache.put({KEY: ONE})  # and is written over
        assert await cache.get([KEY]) == {KEY: ONE}

    against(server, scenario)


def test_a_foreign_value_of_deep_brackets_is_a_miss(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        await redis.set(KEY, b"[" * 100_000)
        assert await cache.get([KEY]) == {}

    against(server, scenario)


@pytest.mark.parametrize(
    "command", ["RPUSH {0} a b", "SADD {0} a", "HSET {0} text a", "ZADD {0} 1 a", "XADD {0} * a b"]
)
def test_something_that_is_no_string_is_a_miss(server: RedisServer, command: str) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        await redis.execute_command(*command.format(KEY).split())  # type: ignore[no-untyped-call]
        await cache.put({OTHER: ONE})
        assert await cache.get([KEY, OTHER]) == {OTHER: ONE}
        assert cache.state == "up"

    against(server, scenario)


async def fill(cache: RedisAnswerCache, redis: Redis, entries: int) -> set[bytes]:
    """Entries of ours, and the keys of others, which are returned."""
    for start in range(0, entries, 500):
        await cache.put({f"v1:img:{index:064x}:{'0' * 32}": ONE for index in range(start, min(start + 500, entries))})
    foreign = {b"session:1", b"v1:user:5", b"v2:img:a:b", b"v1:img", b"img:v1:a:b", b"V1:IMG:a:b", b"xv1:img:a:b"}
    await redis.mset(dict.fromkeys(foreign, b"precious"))
    await redis.set("v1:collection:holiday:1", "ours")
    return foreign


def test_clearing_the_service_leaves_the_keys_of_others(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        foreign = await fill(cache, redis, 2500)
        assert await cache.clear(whole_database=False) == 2501
        assert set(await redis.keys("*")) == foreign
        assert await cache.clear(whole_database=False) == 0
        assert set(await redis.keys("*")) == foreign

    against(server, scenario)


def test_clearing_the_database_leaves_nothing_in_it_and_others_alone(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        foreign = await fill(cache, redis, 10)
        async with Redis.from_url(f"unix://{server.socket}?db=1") as neighbour:
            await neighbour.set("session:2", "precious")
            assert await cache.clear(whole_database=True) == 11 + len(foreign)
            assert await redis.dbsize() == 0
            assert await neighbour.get("session:2") == b"precious"

    against(server, scenario)


def test_its_size_is_that_of_the_services_entries(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, redis: Redis) -> None:
        assert await cache.size() == (0, 0)
        await redis.set("somebody else's", "x" * 5000)
        keys = [KEY, OTHER, f"v1:collection:{'ef' * 32}:{'45' * 16}"]
        await cache.put(dict.fromkeys(keys, ONE))
        memory = sum([await redis.memory_usage(key) or 0 for key in keys])
        assert await cache.size() == (3, memory)
        await cache.put({f"v1:img:{number:064}:{'01' * 16}": ONE for number in range(2500)})  # more than one scan
        assert (await cache.size() or (0, 0))[0] == 2503

    against(server, scenario)


def test_without_redis_it_has_no_size() -> None:
    async def main() -> None:
        async with cache_at("") as off, cache_at(unused_url()) as gone:
            assert await off.size() == (0, 0)
            assert await gone.size() is None

    run(main())


@pytest.mark.parametrize("whole_database", [False, True])
def test_clearing_may_take_a_while(server: RedisServer, whole_database: bool) -> None:
    async def main() -> None:
        async with cache_at(server.url, timeout=0.1) as cache, Redis.from_url(server.url) as redis:
            await redis.flushall()
            await cache.put({KEY: ONE})
            assert await cache.get([KEY]) == {KEY: ONE}
            await redis.client_pause(300)  # milliseconds in which Redis accepts commands and answers none
            assert await cache.clear(whole_database=whole_database) == 1

    run(main())


def test_a_cancelled_call_does_not_mix_up_later_answers(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, _: Redis) -> None:
        known = {f"v1:img:{index}:x": Answer(f"caption {index}", "stop", 1, index) for index in range(40)}
        await cache.put(known)
        for turn, (key, outcome) in enumerate(known.items()):
            leaving = [asyncio.create_task(cache.get([other])) for other in list(known)[turn : turn + 3]]
            for _turn in range(turn % 7):
                await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            assert await cache.get([key]) == {key: outcome}
            await asyncio.gather(*leaving, return_exceptions=True)
        assert cache.state == "up"

    against(server, scenario)


def test_many_at_once(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, _: Redis) -> None:
        known = {f"v1:img:{index}:x": Answer(f"caption {index}", "stop", 1, index) for index in range(60)}
        await asyncio.gather(*(cache.put({key: outcome}) for key, outcome in known.items()))
        found = await asyncio.gather(*(cache.get([key]) for key in known))
        assert found == [{key: outcome} for key, outcome in known.items()]

    against(server, scenario)


# --- no Redis --------------------------------------------------------------------------------------------------------


def test_without_a_url_it_is_off() -> None:
    async def main() -> None:
        async with cache_at("") as cache:
            assert cache.state == "off"
            assert await cache.ping() == "off"
            await cache.put({KEY: ONE})
            assert await cache.get([KEY]) == {}
            assert await cache.clear(whole_database=False) == 0
            assert await cache.clear(whole_database=True) == 0
            assert cache.state == "off"

    run(main())


# --- a Redis that does not work --------------------------------------------------------------------------------------

REPLIES: dict[str, bytes | None] = {
    "hangs": None,
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "zeros": b"\x00\x00\x00\x00\r\n",
    "no end": b"x" * 70_000,
    "an error": b"-ERR no\r\n",
    "a key is asked for": b"-NOAUTH Authentication required.\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "promises too much": b"$1000000000\r\n",
}


async def twenty(cache: RedisAnswerCache) -> None:
    """Ten lookups, ten stores."""
    for _ in range(10):
        assert await cache.get([KEY, OTHER]) == {}
        await cache.put({KEY: ONE})


def up(cache: RedisAnswerCache) -> bool:
    return cache.state == "up"


async def check_broken(url: str) -> None:
    """Three calls are made, and each is given up in time: a lookup of Redis' own patience would not return here."""
    breaker = WatchedBreaker()
    async with cache_at(url, breaker=breaker) as cache:
        await twenty(cache)
        assert breaker.events == ["allowed", "failed"] * 3 + ["kept away"] * 17
        assert cache.state == "down"
        assert await cache.ping() == "down"
        assert await cache.clear(whole_database=False) is None
        assert await cache.clear(whole_database=True) is None


def test_a_redis_that_is_gone() -> None:
    run(check_broken(unused_url()))


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_a_redis_that_hangs_or_is_none(reply: bytes | None) -> None:
    async def main() -> None:
        async with impostor(lambda _: reply) as url:
            await check_broken(url)

    run(main())


@pytest.mark.parametrize(
    "reply",
    [
        b"+OK\r\n",
        b":1\r\n",
        b"*2\r\n:1\r\n*1\r\n+x\r\n",
        b"%1\r\n+a\r\n+b\r\n",
        b"*0\r\n",
        b"*1\r\n$1\r\nx\r\n",
        b"*-1\r\n",
    ],
    ids=["OK", "a number", "a strange list", "a map", "an empty list", "a short list", "a null list"],
)
def test_well_formed_nonsense_raises_nothing(reply: bytes) -> None:
    async def main() -> None:
        async with impostor(lambda _: reply) as url, cache_at(url) as cache:
            for _ in range(2):
                assert await cache.get([KEY, OTHER]) == {}
                await cache.put({KEY: ONE, OTHER: TWO})
            await cache.ping()

    run(main())


def test_an_answer_that_cannot_be_encoded_raises_nothing(server: RedisServer) -> None:
    async def scenario(cache: RedisAnswerCache, _: Redis) -> None:
        await cache.put({KEY: Answer("\ud800", "stop", 1, 1), OTHER: ONE})
        assert await cache.get([KEY, OTHER]) == {OTHER: ONE}
        assert cache.state == "up"

    against(server, scenario)


def test_many_at_once_wait_for_a_hanging_redis_together() -> None:
    async def main() -> None:
        breaker = WatchedBreaker()
        async with impostor(lambda _: None) as url, cache_at(url, breaker=breaker) as cache:
            assert await asyncio.gather(*(cache.get([KEY]) for _ in range(30))) == [{}] * 30
            assert breaker.events == ["allowed"] * 30 + ["failed"] * 30
            assert cache.state == "down"

    run(main())


def test_a_redis_that_answers_slowly_but_steadily_is_not_waited_for() -> None:
    """No single reply takes too long here, only all of them together."""

    def answer(data: bytes) -> bytes:
        return b"%1\r\n$5\r\nproto\r\n:3\r\n" if b"HELLO" in data else b"+OK\r\n"

    async def main() -> None:
        breaker = WatchedBreaker()
        async with impostor(answer, seconds=0.12) as url, cache_at(url, timeout=0.2, breaker=breaker) as cache:
            await cache.put({f"v1:img:{number}:x": ONE for number in range(10)})
            assert breaker.events == ["allowed", "failed"]

    run(main())


def test_a_redis_some_way_off_answers_in_time_on_a_new_connection() -> None:
    def answer(data: bytes) -> bytes:
        if b"HELLO" in data:
            return b"%1\r\n$5\r\nproto\r\n:3\r\n"
        return b"*1\r\n$-1\r\n" if b"MGET" in data else b"+OK\r\n"

    async def main() -> None:
        breaker = CircuitBreaker(failures=1)
        async with impostor(answer, seconds=0.16) as url, cache_at(url, timeout=0.6, breaker=breaker) as cache:
            assert await cache.get([KEY]) == {}
            assert cache.state == "up"

    run(main())


def test_one_stall_with_many_calls_under_way_means_the_first_short_cooldown() -> None:
    async def main() -> None:
        now = [1000.0]
        breaker = CircuitBreaker(clock=lambda: now[0])
        async with impostor(lambda _: None) as url, cache_at(url, breaker=breaker) as cache:
            await asyncio.gather(*(cache.get([KEY]) for _ in range(20)))
            assert cache.state == "down"
            now[0] += 1.0
            assert breaker.allow()

    run(main())


def test_a_failing_redis_is_logged_a_few_times_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="looksee.cache"):
        run(check_broken(unused_url()))
    assert 1 <= len(caplog.records) <= 3


def test_trials_of_a_failing_redis_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with cache_at(unused_url(), breaker=CircuitBreaker(cooldown=0.0, max_cooldown=0.0)) as cache:
            await twenty(cache)

    with caplog.at_level(logging.WARNING, logger="looksee.cache"):
        run(main())
    assert len(caplog.records) == 3


def test_a_redis_that_is_slow_once_is_asked_again() -> None:
    async def main() -> None:
        async with impostor(lambda _: None) as url, cache_at(url) as cache:
            assert await cache.get([KEY]) == {}
            assert cache.state == "up"

    run(main())


def test_it_recovers_when_redis_comes_back() -> None:
    server = RedisServer()

    async def main() -> None:
        breaker = CircuitBreaker(cooldown=0.05, max_cooldown=0.1)
        async with cache_at(server.url, timeout=5, breaker=breaker) as cache:
            await cache.put({KEY: ONE})
            assert await cache.get([KEY]) == {KEY: ONE}
            server.stop()
            await twenty(cache)
            assert not up(cache)
            server.start()
            async with asyncio.timeout(PATIENCE):
                while not up(cache):
                    await asyncio.sleep(0.02)
                    await cache.put({OTHER: TWO})
            assert await cache.ping() == "up"
            assert await cache.get([KEY, OTHER]) == {OTHER: TWO}

    try:
        server.start()
        run(main(), seconds=60)
    finally:
        with suppress(FileNotFoundError):
            server.close()
