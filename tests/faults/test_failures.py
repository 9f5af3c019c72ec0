"""What the service does when its processes die, or its weights are not there. Redis has a module of its own."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.callers import CUT_OFF, ROUTE, Seen, ask, captions_of, drawn, state, until_answered, wrong
from tests.faults.recording import Recorder
from tests.support import pictures
from tests.support.serving import PATIENCE, Service, serve

SOON = "moondream"  # the model that is loaded soonest: it needs no library of models


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


def healthy(ends: Counter[str], total: int) -> bool:
    """Every request answered 200. (A few captions of the sample weights may be wrong; that is measured elsewhere.)"""
    return ends["right"] + ends["wrong"] == total and ends["right"] >= 0.95 * total


@pytest.fixture(scope="module")
def lonely() -> Iterator[Service]:
    """A service of this module's own, without a Redis."""
    own = {"MODEL_CAPACITY": "0", "LOOKSEE_LOAD_RETRY_SECONDS": "2"}
    with serve(models=["blip", "moondream"], redis_url="", **own) as running:
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


def kill(service: Service, name: str) -> float:
    """Kill the process of a BentoML service, and say when."""
    (process,) = service.processes(name)
    process.kill()
    return time.monotonic()


def back_in_time(service: Service, seconds: float) -> bool:
    return seconds < max(15, 2 * service.startup)  # the second, where starting takes long for anybody


def test_a_runner_killed_in_a_batch_is_back_within_fifteen_seconds(lonely: Service, record: Recorder) -> None:
    assert ask(lonely, drawn("alive", 4)).only_answers
    assert ask(lonely, drawn("other-alive", 2), model="moondream").only_answers
    others = {process.pid for name in ("Looksee", "Moondream") for process in lonely.processes(name)}

    async def scenario() -> tuple[Seen, Seen, float]:
        load = asyncio.create_task(captions_of(lonely, drawn("killed", 200)))
        await asyncio.sleep(0.5)
        killed = kill(lonely, "Blip")
        other = await captions_of(lonely, drawn("other", 4), model="moondream")
        again = await asyncio.to_thread(until_answered, lonely)
        return await load, other, again and time.monotonic() - killed

    seen, other, seconds = asyncio.run(scenario())
    assert back_in_time(lonely, seconds)
    assert set(seen.ends) <= {"200", "502 runner_failed", "503 model_not_ready"}
    assert seen.ends["502 runner_failed"] <= 8, "at most what was in flight"
    assert other.only_answers
    assert {process.pid for name in ("Looksee", "Moondream") for process in lonely.processes(name)} == others
    record("a runner killed in a batch", seen, again=seconds, wrong=wrong(lonely, seen))
    assert not wrong(lonely, other, model="moondream")


def test_a_runner_killed_while_idle_costs_a_wait(lonely: Service, record: Recorder) -> None:
    assert ask(lonely, drawn("idle", 4), model=SOON).only_answers
    killed = kill(lonely, "Moondream")
    seen = ask(lonely, drawn("to-a-dead-one", 8), model=SOON)
    assert set(seen.ends) <= {"200", "502 runner_failed"}
    until_answered(lonely, model=SOON)
    seconds = time.monotonic() - killed
    assert back_in_time(lonely, seconds)
    record("a runner killed while idle", seen, again=seconds, wrong=wrong(lonely, seen, model=SOON))


def test_a_runner_killed_while_loading_is_loaded_again(lonely: Service, record: Recorder) -> None:
    kill(lonely, "Moondream")

    async def scenario() -> tuple[Seen, float]:
        while not lonely.processes("Moondream") or state(lonely, SOON) != "unloaded":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        load = asyncio.create_task(captions_of(lonely, drawn("loading", 8), model=SOON))
        while await asyncio.to_thread(state, lonely, SOON) != "loading":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        killed = kill(lonely, "Moondream")
        seen = await load
        await asyncio.to_thread(until_answered, lonely, model=SOON)
        return seen, time.monotonic() - killed

    seen, seconds = asyncio.run(scenario())
    assert set(seen.ends) <= {"200", "502 runner_failed"}
    assert back_in_time(lonely, seconds)
    record("a runner killed while loading", seen, again=seconds, wrong=wrong(lonely, seen, model=SOON))


def test_a_runner_killed_in_a_stream_ends_it_with_an_error(lonely: Service, record: Recorder) -> None:
    """Whoever has heard the beginning is not told it again."""
    assert ask(lonely, drawn("streams", 1), model="moondream").only_answers
    (runner,) = lonely.processes("Moondream")

    async def scenario() -> tuple[list[str], float]:
        async with httpx.AsyncClient(base_url=lonely.url, timeout=PATIENCE) as client:
            for number in range(50):
                began, lines = asyncio.Event(), list[str]()
                data, _ = pictures.scene(f"stream-{number}", count=6)
                body = {"image_url": f"data:image/png;base64,{base64.b64encode(data).decode()}", "stream": True}

                async def read(
                    body: dict[str, object] = body, lines: list[str] = lines, began: asyncio.Event = began
                ) -> None:
                    async with client.stream("POST", "/v1/caption", json=body) as answer:
                        assert answer.status_code == 200
                        async for line in answer.aiter_lines():
                            lines.append(line)
                            began.set()
                    began.set()

                reading = asyncio.create_task(read())
                await began.wait()
                runner.suspend()
                await asyncio.sleep(0.2)  # what it wrote before arrives
                if reading.done():
                    runner.resume()
                    continue
                killed = kill(lonely, "Moondream")
                await reading
                return [line for line in lines if line], killed
        raise AssertionError("no stream was caught in the middle")

    lines, killed = asyncio.run(scenario())
    assert '"code":"runner_failed"' in lines[-2]
    assert lines[-1] == "data: broken off"
    until_answered(lonely, model="moondream")
    seconds = time.monotonic() - killed
    assert back_in_time(lonely, seconds)
    record("a runner killed in a stream", "200, then an event with `runner_failed`", again=seconds, wrong=[])


def test_a_killed_gateway_costs_what_was_in_flight_and_no_model_is_loaded_again(
    lonely: Service, record: Recorder
) -> None:
    assert ask(lonely, drawn("before-the-gateway", 4)).only_answers
    runners = {process.pid for name in ("Blip", "Moondream") for process in lonely.processes(name)}
    loads = lonely.metric("looksee_model_load_seconds_count")

    async def scenario() -> tuple[Seen, float]:
        load = asyncio.create_task(captions_of(lonely, drawn("gateway", 100)))
        await asyncio.sleep(0.5)
        killed = kill(lonely, "Looksee")
        await asyncio.to_thread(until_answered, lonely)
        return await load, time.monotonic() - killed

    seen, seconds = asyncio.run(scenario())
    assert back_in_time(lonely, seconds)
    assert set(seen.ends) <= {"200", CUT_OFF}
    assert {process.pid for name in ("Blip", "Moondream") for process in lonely.processes(name)} == runners
    assert lonely.metric("looksee_model_load_seconds_count") == loads
    record("the gateway killed", seen, again=seconds, wrong=wrong(lonely, seen))


def test_a_runner_that_may_not_have_the_memory_says_so_and_leaves_the_others_alone(
    lonely: Service, record: Recorder
) -> None:
    """A real limit of the system: what is over it is refused by it."""
    kill(lonely, "Blip")
    while not lonely.processes("Blip") or state(lonely, "blip") != "unloaded":
        time.sleep(0.05)
    (runner,) = lonely.processes("Blip")
    before = runner.rlimit(psutil.RLIMIT_AS)
    assert before is not None
    runner.rlimit(psutil.RLIMIT_AS, (runner.memory_info().vms + 16 * 2**20, before[1]))
    seen = ask(lonely, drawn("too-little", 4))
    other = ask(lonely, drawn("other-room", 4), model="moondream")
    assert set(seen.ends) <= {"503 weights_unavailable", "503 out_of_memory", "502 runner_failed"}
    assert other.only_answers
    failed = time.monotonic()
    runner.rlimit(psutil.RLIMIT_AS, before)
    until_answered(lonely)  # by another process: libraries that were imported half-way cannot be imported again
    seconds = time.monotonic() - failed
    assert not runner.is_running()
    record("a runner without the memory to load", seen, again=seconds, wrong=wrong(lonely, other, model="moondream"))


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
