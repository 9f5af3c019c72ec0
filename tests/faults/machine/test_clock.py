"""A clock that is set while the service runs: nothing that waits, expires or is counted goes by it."""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from cache.breaker import CircuitBreaker
from looksee.core.tasks import Call
from tests.cache.redis_server import RedisServer
from tests.faults.recording import Recorder
from tests.serving.gateway import Gateway
from tests.support.files import plain
from tests.support.loops import run
from tests.support.serving import ROOT

PRODUCT = ("looksee", "cache", "runners", "deploy", "service.py")
# Who reads the clock of the machine, and what for; no wait and no decision is among it.
READERS = {
    "looksee/http/dialects/openai.py": "`created` in an answer",
    "looksee/http/dialects/ollama/names.py": "when a model was published",
    "looksee/http/dialects/ollama/replies.py": "`created_at` in an answer",
    "looksee/http/dialects/ollama/route.py": "when a model's weights expire, for clients",
    "looksee/http/dialects/responses/replies.py": "`created_at` in an answer",
    "looksee/http/dialects/kept_pictures.py": "when a picture is forgotten, for people",
    "looksee/gateway/local_pictures.py": "when a picture is forgotten, for people",
    "looksee/http/dialects/admin.py": "last use of a model, shown to operators",
    "looksee/http/dialects/models.py": "the day that a model was published",
    "looksee/core/logs.py": "the time of a line of the log",
    "looksee/watching/spans.py": "the times of spans, for people",
    "deploy/verification/tour.py": "`created` of an answer",
    "runners/runner.py": "last use of a model, shown to operators",
}
# Names that lead to the clock of the machine.
_WALL = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "today"), ("datetime", "utcnow")}
_SHOWN = {("datetime", "fromtimestamp"), ("datetime", "combine")}
JUMPS = (-86_400.0, -90.0, 90.0, 86_400.0)


def modules() -> Iterator[Path]:
    for name in PRODUCT:
        path = ROOT / name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def reads_the_clock(module: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in _WALL | _SHOWN
        for node in ast.walk(ast.parse(module.read_text()))
    )


def test_only_what_is_shown_to_people_reads_the_clock_of_the_machine() -> None:
    found = {str(module.relative_to(ROOT)) for module in modules() if reads_the_clock(module)}
    assert found == set(READERS)


def test_no_module_takes_the_clock_under_another_name() -> None:
    for module in modules():
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                assert not {"time", "time_ns"} & {alias.name for alias in node.names}, module


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock of this process forward or back, by seconds."""
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])

    def put(seconds: float) -> None:
        ahead[0] += seconds

    return put


BODY: dict[str, Any] = {"files": {"images": ("a.png", plain())}}


@pytest.mark.parametrize("jump", JUMPS)
def test_a_request_in_flight_is_answered_and_an_overdue_one_is_not(
    jump: float, set_clock: Callable[[float], None], record: Recorder
) -> None:
    gateway = Gateway(client_keys="", requests_per_minute=50)
    reached, go = asyncio.Event(), asyncio.Event()

    async def wait(_: Call) -> None:
        reached.set()
        await go.wait()

    gateway.doors.proxies["blip"].before = wait

    async def main() -> None:
        async with gateway.client() as client:
            fine = asyncio.create_task(client.post("/api/caption-images", **BODY))
            await reached.wait()
            set_clock(jump)
            await asyncio.sleep(0.05)
            assert not fine.done()
            other = {"images": ("a.png", plain(colour=(1, 2, 3)))}
            began = time.monotonic()
            late = await client.post("/api/caption-images", headers={"X-Request-Timeout": "0.2"}, files=other)
            assert late.status_code == 504
            assert 0.2 <= time.monotonic() - began < 20
            go.set()
            answer = await fine
            assert answer.status_code == 200
            assert answer.json()["results"][0]["caption"] == "a red circle"
            assert int(answer.headers["x-ratelimit-remaining"]) == 49

    run(main())
    record("the clock set by a day, with requests in flight", "200; 504 only for those whose time was over", wrong=[])


@pytest.mark.parametrize("jump", JUMPS)
def test_a_breaker_rests_as_long_as_before(jump: float, set_clock: Callable[[float], None]) -> None:
    breaker = CircuitBreaker(failures=1, cooldown=0.05)
    breaker.failed()
    set_clock(jump)
    assert not breaker.allow()
    time.sleep(0.06)
    assert breaker.allow()


def test_answers_are_stored_for_a_time_and_not_until_one() -> None:
    """The time to live is said in seconds from now: what clock this machine has does not matter to Redis."""
    from cache.answer_cache import RedisAnswerCache
    from cache.guarded_redis import GuardedRedis
    from looksee.core.tasks import Answer

    with RedisServer() as server:

        async def main() -> None:
            redis = GuardedRedis(server.url, timeout=5)
            await RedisAnswerCache(redis, ttl=100).put({"v1:img:a:b": Answer("a dog", "stop", 1, 2)})
            await redis.close()

        run(main())
        with Redis.from_url(server.url) as client:
            assert 90 < int(client.ttl("v1:img:a:b")) <= 100
