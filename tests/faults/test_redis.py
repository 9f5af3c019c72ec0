"""A Redis that fails in every way that it may: no request is lost or wrong because of it, and nothing wrong is kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from redis import Redis

from deploy import redis_server
from tests.faults.callers import Seen, ask, captions_of, drawn, wrong
from tests.faults.pretenders import Reply, garbage, pretending, slow, wrong_kind
from tests.faults.recording import Recorder
from tests.support.serving import PATIENCE, Service, free_port, serve

MOST = 5.0 / 2  # seconds of a request beside a Redis that hangs: redis-py's default would wait 5 s and more


@dataclass
class Cached:
    """A service and the Redis that it reaches over TCP."""

    service: Service
    port: int
    redis: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> Redis:
        """The Redis, without the service."""
        return Redis(port=self.port, socket_timeout=PATIENCE)

    def start(self) -> float:
        """Let Redis run, empty if it did not run before; the seconds until the service sees it."""
        if self.redis is None:
            command = [redis_server.executable(), "--port", f"{self.port}", "--save", "", "--bind", "127.0.0.1"]
            self.redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.redis.send_signal(signal.SIGCONT)
        began = time.monotonic()
        while self.service.client.get("/health").json()["redis"] != "up":
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.1)
        return time.monotonic() - began

    def kill(self) -> None:
        if self.redis is not None:
            self.redis.kill()
            self.redis.wait()
            self.redis = None

    def caches(self, name: str) -> bool:
        """Whether an answer is stored, and given from there."""
        files = drawn(name, 1)
        return not ask(self.service, files).cached and ask(self.service, files).cached == 1


@pytest.fixture(scope="module")
def cached() -> Iterator[Cached]:
    port = free_port()
    with serve(redis_url=f"redis://127.0.0.1:{port}/0") as running:
        held = Cached(running, port)
        try:
            yield held
        finally:
            held.kill()


def test_killing_redis_under_load_loses_no_request(cached: Cached, record: Recorder) -> None:
    cached.start()
    service = cached.service
    assert ask(service, drawn("before", 20)).only_answers

    async def scenario() -> Seen:
        load = asyncio.create_task(captions_of(service, drawn("under-load", 150), concurrency=16))
        await asyncio.sleep(0.5)
        assert not load.done()
        cached.kill()
        return await load

    seen = asyncio.run(scenario())
    assert service.client.get("/health").json()["redis"] == "down"
    assert seen.only_answers
    record("Redis killed under load", seen, again=cached.start(), wrong=wrong(service, seen))
    assert cached.caches("after-the-kill")


def test_a_redis_that_refuses_connections_costs_next_to_nothing(cached: Cached, record: Recorder) -> None:
    cached.start()
    cached.kill()
    seen = ask(cached.service, drawn("refused", 20))
    assert seen.only_answers
    assert not seen.cached
    assert seen.longest < MOST
    record("Redis refuses connections", seen, again=cached.start(), wrong=wrong(cached.service, seen))


def test_a_hung_redis_costs_next_to_nothing(cached: Cached, record: Recorder) -> None:
    cached.start()
    service = cached.service
    assert ask(service, drawn("warm", 4)).only_answers
    assert cached.redis is not None
    cached.redis.send_signal(signal.SIGSTOP)
    seen = ask(service, drawn("hung", 20), concurrency=1)
    assert seen.only_answers
    assert seen.longest < MOST
    record("Redis hung (SIGSTOP)", seen, again=cached.start(), wrong=wrong(service, seen))
    assert cached.caches("thawed")


@pytest.mark.parametrize(
    ("name", "reply"),
    [("slow (1 s a reply)", slow), ("replaced by a server of garbage", garbage), ("answering nonsense", wrong_kind)],
)
def test_what_is_no_redis_is_soon_not_asked(name: str, reply: Reply, cached: Cached, record: Recorder) -> None:
    cached.start()
    cached.kill()
    with pretending(cached.port, reply):
        seen = ask(cached.service, drawn(name, 20))
        again = ask(cached.service, drawn(name, 20))
        assert (seen + again).only_answers
        assert not (seen + again).cached
        assert seen.longest < MOST
    back = cached.start()
    record(f"Redis {name}", seen + again, again=back, wrong=wrong(cached.service, seen + again))
    assert cached.caches(f"after-{name}")


def cut(value: bytes) -> bytes:
    return value[: len(value) // 2]


def older(value: bytes) -> bytes:
    """As a version would have written it whose answers had no count of tokens."""
    return json.dumps({"text": json.loads(value)["text"]}).encode()


def newer(value: bytes) -> bytes:
    """As a version would have written it that says more, in other types."""
    return json.dumps({"version": 2, "answer": json.loads(value)}).encode()


def nothing(value: bytes) -> bytes:
    return b""


def pickled(value: bytes) -> bytes:
    return b"\x80\x04cos\nsystem\n(S'true'\ntR."


@pytest.mark.parametrize("change", [cut, older, newer, nothing, pickled], ids=lambda change: change.__name__)
def test_a_value_that_is_no_answer_is_made_anew(
    change: Callable[[bytes], bytes], cached: Cached, record: Recorder
) -> None:
    cached.start()
    files = drawn(f"changed-{change.__name__}", 8)
    assert ask(cached.service, files).only_answers
    assert ask(cached.service, files).cached == 8
    with cached.client as client:
        keys = list(client.scan_iter("v1:img:*"))
        before = {key: client.get(key) for key in keys}
        for key, value in before.items():
            assert isinstance(value, bytes)
            client.set(key, change(value))
        seen = ask(cached.service, files)
        assert seen.only_answers
        assert not seen.cached
        assert ask(cached.service, files).cached == 8
        assert not wrong(cached.service, seen)
        record("Redis holding cut, older, newer, empty or foreign values", seen, again=0.0, wrong=[])
        client.flushdb()


def test_a_full_redis_answers_what_it_has_and_takes_nothing(cached: Cached, record: Recorder) -> None:
    cached.start()
    files = drawn("had", 4)
    assert ask(cached.service, files).only_answers
    with cached.client as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        seen = ask(cached.service, drawn("full", 20))
        assert seen.only_answers
        client.config_set("maxmemory", "0")
    back = cached.start()
    record("Redis full (noeviction)", seen, again=back, wrong=wrong(cached.service, seen))
    assert cached.caches("room-again")


def test_a_redis_whose_password_changed_is_as_one_that_is_away(cached: Cached, record: Recorder) -> None:
    cached.start()
    with cached.client as client:
        client.config_set("requirepass", "another")
        client.execute_command("AUTH", "another")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        seen = ask(cached.service, drawn("locked", 20))
        assert seen.only_answers
        assert not seen.cached
        client.config_set("requirepass", "")
    back = cached.start()
    record("Redis with another password", seen, again=back, wrong=wrong(cached.service, seen))
    assert cached.caches("opened")


def test_a_restarted_redis_has_forgotten_and_is_used_at_once(cached: Cached, record: Recorder) -> None:
    cached.start()
    files = drawn("forgotten", 8)
    assert ask(cached.service, files).only_answers
    cached.kill()
    back = cached.start()
    seen = ask(cached.service, files)
    assert seen.only_answers
    assert not seen.cached
    assert ask(cached.service, files).cached == 8
    record("Redis restarted, empty", seen, again=back, wrong=wrong(cached.service, seen))


def metrics_say(service: Service, value: float) -> bool:
    """Whether `looksee_redis_up` becomes `value`, with calls to Redis."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):  # of a gateway that is started again
            service.client.get("/health")  # asks Redis
            if f"\nlooksee_redis_up {value}\n" in service.client.get("/metrics").text:
                return True
        time.sleep(0.2)
    return False


def test_the_metrics_say_whether_redis_is_up(cached: Cached) -> None:
    service = cached.service
    for _ in range(2):
        cached.start()
        assert metrics_say(service, 1.0)
        cached.kill()
        assert metrics_say(service, 0.0)
    (gateway,) = service.processes("Looksee")
    gateway.kill()  # what it last saw dies with it
    while {process.pid for process in service.processes("Looksee")} <= {gateway.pid}:
        time.sleep(0.1)
    assert metrics_say(service, 0.0)
    cached.start()
    assert metrics_say(service, 1.0)
