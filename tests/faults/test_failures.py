"""What the service does when its parts die: Redis, the runner, the weights."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy import redis_server
from tests.support import pictures
from tests.support.serving import PATIENCE, Service, free_port, serve

ROUTE = "/api/caption-images"


async def captions(url: str, files: list[tuple[bytes, str]], concurrency: int) -> Counter[str]:
    """How the requests ended: `right`, `wrong`, or the status."""
    gate = asyncio.Semaphore(concurrency)

    async def one(client: httpx.AsyncClient, data: bytes, caption: str) -> str:
        async with gate:
            response = await client.post(ROUTE, files={"images": ("a.png", data)})
        if response.status_code != 200:
            return str(response.status_code)
        return "right" if response.json()["results"][0]["caption"] == caption else "wrong"

    limits = httpx.Limits(max_connections=concurrency)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        return Counter(await asyncio.gather(*(one(client, *file) for file in files)))


def drawn(name: str, count: int) -> list[tuple[bytes, str]]:
    return [pictures.scene(f"{name}-{number}", count=1) for number in range(count)]


def healthy(ends: Counter[str], total: int) -> bool:
    """Every request answered 200. (A few captions of the sample weights may be wrong; that is measured elsewhere.)"""
    return ends["right"] + ends["wrong"] == total and ends["right"] >= 0.95 * total


@dataclass
class Cached:
    """A service and the Redis that it reaches over TCP."""

    service: Service
    port: int
    redis: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Let Redis run, empty if it did not run before, and let the service see it."""
        if self.redis is None:
            command = [redis_server.executable(), "--port", f"{self.port}", "--save", "", "--bind", "127.0.0.1"]
            self.redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.redis.send_signal(signal.SIGCONT)
        end = time.monotonic() + PATIENCE
        while self.service.client.get("/health").json()["redis"] != "up":
            assert time.monotonic() < end
            time.sleep(0.1)

    def kill(self) -> None:
        if self.redis is not None:
            self.redis.kill()
            self.redis.wait()
            self.redis = None


@pytest.fixture(scope="module")
def cached() -> Iterator[Cached]:
    port = free_port()
    with serve(redis_url=f"redis://127.0.0.1:{port}/0") as running:
        held = Cached(running, port)
        try:
            yield held
        finally:
            held.kill()


def test_killing_redis_under_load_loses_no_request(cached: Cached) -> None:
    cached.start()
    service = cached.service
    assert healthy(asyncio.run(captions(service.url, drawn("before", 20), 8)), 20)

    async def scenario() -> Counter[str]:
        load = asyncio.create_task(captions(service.url, drawn("under-load", 150), 16))
        await asyncio.sleep(0.5)
        assert not load.done()
        cached.kill()
        return await load

    assert healthy(asyncio.run(scenario()), 150)
    assert service.client.get("/health").json()["redis"] == "down"


def test_a_hung_redis_costs_next_to_nothing(cached: Cached) -> None:
    cached.start()
    service = cached.service
    assert healthy(asyncio.run(captions(service.url, drawn("warm", 4), 4)), 4)
    assert cached.redis is not None
    cached.redis.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    assert healthy(asyncio.run(captions(service.url, drawn("hung", 20), 1)), 20)
    assert time.monotonic() - started < 20 * 5 / 2  # redis-py's default would wait 5 s and more for each
    cached.start()
    data, _ = pictures.scene("thawed")
    for _ in range(2):
        result = service.client.post(ROUTE, files={"images": ("a.png", data)}).json()["results"][0]
    assert result["cache"] is True


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


@pytest.fixture(scope="module")
def lonely() -> Iterator[Service]:
    """A service of this module's own, without a Redis."""
    with serve(redis_url="") as running:
        ready = time.monotonic()
        assert healthy(asyncio.run(captions(running.url, drawn("first", 1), 1)), 1)
        running.startup += time.monotonic() - ready  # a runner that comes back loads the model too
        yield running


def test_without_redis_everything_works_uncached(lonely: Service) -> None:
    data, caption = pictures.scene("no-redis")
    for _ in range(2):
        result = lonely.client.post(ROUTE, files={"images": ("a.png", data)}).json()["results"][0]
        assert (result["caption"], result["cache"]) == (caption, False)
    assert lonely.client.get("/health").json()["redis"] == "off"
    assert "looksee_redis_up" not in lonely.client.get("/metrics").text


def test_a_killed_runner_is_back_within_fifteen_seconds(lonely: Service) -> None:
    assert healthy(asyncio.run(captions(lonely.url, drawn("alive", 4), 4)), 4)

    async def scenario() -> tuple[Counter[str], float]:
        load = asyncio.create_task(captions(lonely.url, drawn("killed", 200), 8))
        await asyncio.sleep(0.5)
        (runner,) = lonely.processes("Blip")
        runner.kill()
        killed = time.monotonic()
        async with httpx.AsyncClient(base_url=lonely.url, timeout=60) as client:
            data, _ = pictures.scene("after-the-kill")
            for _ in range(1200):
                if (await client.post(ROUTE, files={"images": ("a.png", data)})).status_code == 200:
                    break
                await asyncio.sleep(0.1)
        return await load, time.monotonic() - killed

    ends, seconds = asyncio.run(scenario())
    assert seconds < max(15, 2 * lonely.startup)  # the second, where starting takes long for anybody
    assert set(ends) <= {"right", "wrong", "502", "503"}
    assert healthy(asyncio.run(captions(lonely.url, drawn("back", 10), 4)), 10)


def test_weights_that_cannot_be_had_are_a_clear_503(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    blocked = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "LOOKSEE_BLIP2_WEIGHTS": str(tmp_path / "none")}
    with serve(models=["blip", "blip2"], redis_url="", LOOKSEE_WEIGHTS="hub", **blocked) as service:
        response = service.client.post(ROUTE, files={"images": ("a.png", pictures.scene(1)[0])})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (503, "weights_unavailable")
        assert int(response.headers["retry-after"]) > 0
        for word in ("LOOKSEE_WEIGHTS=sample", "LOOKSEE_BLIP_WEIGHTS", "HF_HUB_OFFLINE", "Salesforce/blip"):
            assert word in error["message"]
        assert service.client.get("/health").json()["models"]["blip"] == "failed"
        # A directory without weights in it
        response = service.client.post(f"{ROUTE}?model=blip2", files={"images": ("a.png", pictures.scene(1)[0])})
        assert (response.status_code, response.json()["error"]["code"]) == (503, "weights_unavailable")
        assert str(tmp_path) not in response.text


def test_a_caller_that_leaves_is_not_computed_for(lonely: Service) -> None:
    asyncio.run(captions(lonely.url, drawn("wake", 1), 1))
    (runner,) = lonely.processes("Blip")
    computed = lonely.metric("looksee_prefill_rows_sum")
    os.kill(runner.pid, signal.SIGSTOP)  # the requests are on their way to the runner when their callers leave

    async def leave() -> None:
        async with httpx.AsyncClient(base_url=lonely.url, timeout=1, limits=httpx.Limits()) as client:
            requests = [client.post(ROUTE, files={"images": ("a.png", data)}) for data, _ in drawn("leaving", 40)]
            ends = await asyncio.gather(*requests, return_exceptions=True)
            assert all(isinstance(end, httpx.ReadTimeout) for end in ends)

    try:
        asyncio.run(leave())
        time.sleep(0.5)
    finally:
        os.kill(runner.pid, signal.SIGCONT)
    time.sleep(2)
    # Those of the two calls that it had when it was stopped may be through before it reads that they are called off.
    assert lonely.metric("looksee_prefill_rows_sum") - computed <= 5
    # Also after a runner was killed at work (above) no row of it is left in the gauges.
    assert lonely.metric("looksee_rows_waiting") == lonely.metric("looksee_rows_running") == 0
    assert healthy(asyncio.run(captions(lonely.url, drawn("after-leaving", 4), 4)), 4)
