"""Deadlines that stand still while weights load: in the channel to a runner, in shared runs, and at the edge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from looksee.core import errors
from looksee.core.tasks import Call, Event, Job, Task
from looksee.gateway import load_clock, single_flight
from looksee.gateway.answering import AnsweringService, CacheableJob, ServedAnswer
from looksee.gateway.runners import channel as channels
from looksee.gateway.runners.channel import RunnerChannel
from looksee.gateway.runners.client import RunnerClient
from looksee.http.request_info import Deadline
from tests.gateway.memory_cache import Shelf
from tests.gateway.proxy import IDENTITY, FakeProxy, answer_to
from tests.support.loops import run

JOB = Job(Task.CAPTION, (b"one",))


@pytest.fixture(autouse=True)
def short_graces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_GRACE", 0.05)
    monkeypatch.setattr(single_flight, "_GRACE", 0.05)


def loading(seconds: float, *, most: float = 60, then: float = 0.0) -> FakeProxy:
    """A runner that loads for so many seconds, and after that takes `then` seconds to answer."""

    async def tell(call: Call) -> AsyncIterator[Event]:
        apart = call.asks[0].waits_apart
        if apart:
            yield Event(0, wait=most)
        await asyncio.sleep(seconds)
        if apart:
            yield Event(0, wait=0.0)
        await asyncio.sleep(then)
        yield Event(0, reply=answer_to(call.asks[0].job), identity=IDENTITY)

    return FakeProxy(after=tell)


def service(proxy: FakeProxy) -> AnsweringService:
    return AnsweringService({"blip": RunnerClient("blip", proxy)}, Shelf())


async def caption(to: AnsweringService, clock: Deadline | None, seconds: float = 0.2) -> str:
    question = CacheableJob(JOB, ("digest",))
    (result,) = await to.answer("blip", [question], timeout=seconds, clock=clock)
    return result.answer.text if isinstance(result, ServedAnswer) else result.code


def test_a_job_has_all_of_its_time_after_the_load() -> None:
    async def main() -> None:
        told: list[float] = []
        channel = RunnerChannel("blip", loading(0.4, then=0.1), 9)
        reply, _ = await channel.ask(JOB, timeout=0.3, request_id="", on_wait=told.append)
        assert reply.answer is not None
        assert told == [60, 0]

    run(main())


def test_and_no_more_than_that() -> None:
    async def main() -> None:
        channel = RunnerChannel("blip", loading(0.3, then=9), 9)
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded):
            await channel.ask(JOB, timeout=0.2, request_id="", on_wait=lambda seconds: None)
        assert 0.5 <= time.monotonic() - began < 5

    run(main())


def test_a_load_has_a_bound_of_its_own() -> None:
    """The runner keeps it; if it does not, the wait ends all the same."""

    async def main() -> None:
        channel = RunnerChannel("blip", loading(9, most=0.3), 9)
        with pytest.raises(errors.DeadlineExceeded):
            async with asyncio.timeout(5):
                await channel.ask(JOB, timeout=0.1, request_id="", on_wait=lambda seconds: None)

    run(main())


def test_a_job_whose_runner_died_while_it_loaded_has_lost_no_time() -> None:
    """It is sent again with what is left: all of it."""
    lost: list[float] = []

    async def tell(call: Call) -> AsyncIterator[Event]:
        yield Event(0, wait=60)
        await asyncio.sleep(0.3)
        if not lost:
            lost.append(1)
            raise aiohttp.ClientPayloadError
        yield Event(0, wait=0.0)
        yield Event(0, reply=answer_to(call.asks[0].job), identity=IDENTITY)

    async def main() -> None:
        told: list[float] = []
        proxy = FakeProxy(after=tell)
        channel = RunnerChannel("blip", proxy, 9)
        reply, _ = await channel.ask(JOB, timeout=0.2, request_id="", on_wait=told.append)
        assert reply.answer is not None
        assert told == [60, 0, 60, 0]
        assert proxy.calls[1].timeout == pytest.approx(0.2, abs=0.1)

    run(main())


def test_a_caller_who_leaves_while_it_loads_leaves_nothing() -> None:
    async def main() -> None:
        proxy = loading(0.2)
        channel = RunnerChannel("blip", proxy, 9)
        asking = asyncio.create_task(channel.ask(JOB, timeout=5, request_id="", on_wait=lambda seconds: None))
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.sleep(0.3)
        assert len(proxy.cancelled) == 1

    run(main())


def test_a_request_waits_for_its_model_beside_its_time() -> None:
    async def main() -> None:
        clock = Deadline(0.2)
        assert await caption(service(loading(0.5)), clock) == "a one"
        assert 0.1 < clock.left() <= 0.2

    run(main())


def test_a_caller_that_says_its_time_waits_no_longer() -> None:
    async def main() -> None:
        assert await caption(service(loading(0.5)), None) == "deadline_exceeded"

    run(main())


def test_those_who_share_a_run_each_have_their_own_time() -> None:
    async def main() -> None:
        to, clocks = service(loading(0.5)), [Deadline(0.2), Deadline(0.3)]
        first = asyncio.create_task(caption(to, clocks[0]))
        await asyncio.sleep(0.15)
        late, hurried = (asyncio.create_task(caption(to, clock, 0.1)) for clock in (clocks[1], None))
        assert list(await asyncio.gather(first, late, hurried)) == ["a one", "a one", "deadline_exceeded"]
        assert 0 < clocks[0].left() <= 0.2
        assert 0.2 < clocks[1].left() <= 0.3

    run(main())


def test_a_deadline_stands_still_once_however_many_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now, changes = [100.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    deadline = Deadline(5)
    deadline.on_change = lambda: changes.append(deadline.longest())
    deadline.start()
    now[0] += 1
    deadline.hold(60)
    now[0] += 10
    deadline.hold(60)
    assert (deadline.left(), deadline.longest()) == (4, 64)
    deadline.go_on()
    now[0] += 10
    assert deadline.left() == 4
    deadline.go_on()
    now[0] += 1
    assert (deadline.left(), deadline.longest()) == (3, 3)
    assert changes == [64, 64, 4]
    deadline.hold(2)
    now[0] += 3  # one second too long
    assert deadline.left() == 2
    deadline.go_on()
    assert deadline.left() == 2
    deadline.shorten(1)
    deadline.hold(60)
    assert (deadline.left(), deadline.longest()) == (1, 1)


def test_the_time_of_a_job_that_is_given_to_several_runners_stands_still_at_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, told = 100.0, list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    deadline = load_clock.MovingDeadline(10.0, told.append)
    for seconds, load in ((1, 40), (2, 30)):
        now += seconds
        deadline.wait(60.0)
        now += load
        assert deadline.left() == 10 - (1 if load == 40 else 3)
        deadline.wait(0.0)
    now += 6
    assert deadline.left() == 1
    assert told == [60.0, 0.0, 60.0, 0.0]
