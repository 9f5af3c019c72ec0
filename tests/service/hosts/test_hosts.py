"""A gateway, its Redis, two runners of BLIP and one of Moondream, each on a host of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil
import pytest

from deploy import redis_server
from tests.faults.callers import Seen, ask, captions_of, drawn, wrong
from tests.service.hosts import network
from tests.service.hosts.network import HostNetwork
from tests.support.serving import PATIENCE, Service, serve

KEY = "between-hosts"
PORT, REDIS_PORT = "3001", "6379"
MODELS = ("blip", "moondream")
CALLERS = 6


@dataclass
class Spread:
    """The services by their hosts."""

    network: HostNetwork
    gateway: Service
    blip: list[Service]  # on the hosts `blip-a` and `blip-b`
    moondream: Service

    def replica(self, number: int) -> str:
        """By which name the gateway's metrics show a runner of BLIP."""
        return self.blip[number].url.removeprefix("http://")

    def is_up(self, number: int) -> bool:
        return self.gateway.metric("looksee_replica_up", model="blip", replica=self.replica(number)) == 1

    def retries(self, number: int) -> float:
        """Jobs that a runner of BLIP did not answer and the other one was given."""
        return self.gateway.metric("looksee_replica_retries_total", model="blip", replica=self.replica(number))

    def answered(self, number: int) -> float:
        """Jobs that a runner of BLIP has answered."""
        headers = {"Authorization": f"Bearer {KEY}"}
        lines = self.blip[number].client.get("/metrics", headers=headers).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("looksee_queue_seconds_count"))


@contextlib.contextmanager
def _redis(hosts: HostNetwork) -> Iterator[str]:
    address = hosts.address("redis")
    command = hosts.on("redis", redis_server.executable(), "--port", REDIS_PORT, "--bind", address)
    process = subprocess.Popen([*command, "--protected-mode", "no", "--save", ""], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://{address}:{REDIS_PORT}"
    finally:
        process.terminate()
        process.wait()


def _until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)


def _end_together(services: list[Service]) -> None:
    """Tell all of them before any is waited for."""
    for service in services:
        if service.process.poll() is None:
            service.process.send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def spread() -> Iterator[Spread]:
    """All of them, started side by side. Skips where this machine has no network namespaces for us."""
    if why := network.missing():
        pytest.skip(why)
    names = ("gateway", "redis", "blip-a", "blip-b", "moondream")
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(HostNetwork(*names).up())
        redis_url = stack.enter_context(_redis(hosts))
        at = {name: f"http://{hosts.address(name)}:{PORT}" for name in names}
        urls = {"LOOKSEE_BLIP_URL": f"{at['blip-a']},{at['blip-b']}", "LOOKSEE_MOONDREAM_URL": at["moondream"]}

        def start(name: str, what: str, **own: str) -> Service:
            bentoml = (sys.executable, "-m", "bentoml", "serve", f"service:{what}", "--port", "{port}")
            own |= {"LOOKSEE_RUNNER_KEY": KEY, "LOOKSEE_MODELS": "blip,moondream"}
            address = hosts.address(name)
            served = serve(*hosts.on(name, *bentoml), models=MODELS, host=address, port=PORT, **own)
            return stack.enter_context(served)

        with ThreadPoolExecutor(4) as threads:
            gateway = threads.submit(start, "gateway", "Looksee", redis_url=redis_url, **urls)
            blip = [threads.submit(start, name, "Blip", redis_url="") for name in ("blip-a", "blip-b")]
            moondream = threads.submit(start, "moondream", "Moondream", redis_url="")
            found = Spread(hosts, gateway.result(), [one.result() for one in blip], moondream.result())
        stack.callback(_end_together, [found.gateway, *found.blip, found.moondream])
        assert ask(found.gateway, drawn("hosts-first", 16), concurrency=16).only_answers  # both load their weights
        yield found


def test_jobs_are_spread_over_both_runners_and_answers_are_kept_in_redis(spread: Spread) -> None:
    files = drawn("hosts-spread", 24)
    seen = ask(spread.gateway, files, concurrency=8)
    assert seen.only_answers
    assert wrong(spread.gateway, seen) == []
    assert spread.answered(0) > 0
    assert spread.answered(1) > 0
    assert ask(spread.gateway, files[:4]).cached == 4
    assert ask(spread.gateway, drawn("hosts-moondream", 2), model="moondream").only_answers
    assert not spread.gateway.processes("Blip")
    assert not spread.gateway.processes("Moondream")


def test_without_the_key_a_runner_says_nothing(spread: Spread) -> None:
    runner = spread.blip[0]
    for path in ("/status", "/infer", "/cancel", "/load", "/unload"):
        assert runner.client.post(path, json={}).status_code == 401
    assert runner.client.get("/metrics").status_code == 401
    assert runner.client.get("/readyz").status_code == 200
    pickle = {"content-type": "application/vnd.bentoml+pickle", "authorization": f"Bearer {KEY}"}
    assert runner.client.post("/infer", content=b"cos\nsystem\n", headers=pickle).status_code == 415
    for service in (spread.gateway, *spread.blip, spread.moondream):
        assert KEY not in service.log.read_text()


def test_a_host_that_is_cut_off_under_load_is_noticed_by_none_but_its_own_callers(spread: Spread) -> None:
    """They are answered by the other host. Moondream's callers meet nothing of it."""
    before = spread.retries(1)

    async def callers(model: str, number: int, left_out: asyncio.Future[None]) -> Seen:
        """Ask one after the other until the host is left out, and once more."""
        seen, turn, is_last = Seen(), 0, False
        while not is_last:
            is_last, turn = left_out.done(), turn + 1
            seen += await captions_of(spread.gateway, drawn(f"cut-{model}-{number}-{turn}", 1), model=model)
        return seen

    def cut_off() -> None:
        time.sleep(0.5)  # the callers are at it
        spread.network.cut_off("blip-b")
        _until(lambda: not spread.is_up(1))

    async def main() -> list[Seen]:
        left_out = asyncio.ensure_future(asyncio.to_thread(cut_off))
        asking = [callers("blip", number, left_out) for number in range(CALLERS)]
        return await asyncio.gather(*asking, callers("moondream", 0, left_out))

    try:
        *blip, moondream = asyncio.run(main())
    finally:
        spread.network.reconnect("blip-b")
    seen = sum(blip, Seen())
    assert seen.only_answers, seen.ends
    assert moondream.only_answers, moondream.ends
    assert wrong(spread.gateway, seen) == []
    assert 0 < spread.retries(1) - before <= CALLERS  # what was on its way to it, or there, and nothing else
    assert spread.is_up(0)
    _until(lambda: spread.is_up(1))
    answered = spread.answered(1)
    assert ask(spread.gateway, drawn("hosts-back", 16)).only_answers
    assert spread.answered(1) > answered


def test_a_host_that_dies_under_load_costs_nobody_an_answer(spread: Spread) -> None:
    """Last, since it stays dead."""
    before = spread.retries(1)
    process = psutil.Process(spread.blip[1].process.pid)

    def die() -> None:
        time.sleep(0.3)  # the callers are at it
        for each in (process, *process.children(recursive=True)):
            each.kill()

    async def main() -> Seen:
        dying = asyncio.to_thread(die)
        seen, _ = await asyncio.gather(captions_of(spread.gateway, drawn("hosts-dead", 60), concurrency=CALLERS), dying)
        return seen

    seen = asyncio.run(main())
    assert seen.only_answers, seen.ends
    assert spread.retries(1) > before
    _until(lambda: not spread.is_up(1))
    assert ask(spread.gateway, drawn("hosts-one-left", 4)).only_answers
