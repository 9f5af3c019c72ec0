"""Jobs that kill their runner: each is found and refused, and those that shared its calls are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from looksee.core.tasks import Call, Event, Job, Task
from looksee.gateway.runners import channel as channels
from looksee.gateway.runners.call import RunnerReply
from looksee.gateway.runners.channel import RunnerChannel
from tests.gateway.proxy import IDENTITY, FakeProxy, answer_to
from tests.support.loops import run, settle, until


def job(name: str) -> Job:
    return Job(Task.CAPTION, (name.encode(),))


class Mortal(FakeProxy):
    """A runner that a job named `poison` kills, with every call that is under way; it is back at once."""

    def __init__(self) -> None:
        super().__init__(after=self._work)
        self.deaths = 0
        self.most = 0  # calls under way at a time since the first death
        self.on_death: Callable[[], object] = lambda: None
        self._under_way = 0
        self._died = asyncio.Event()

    async def _work(self, call: Call) -> AsyncIterator[Event]:
        died = self._died
        self._under_way += 1
        self.most = max(self.most, self._under_way) if self.deaths else 0
        try:
            await settle(3)
            if any(ask.job.images[0].startswith(b"poison") for ask in call.asks) and not died.is_set():
                self.deaths += 1
                self.on_death()
                self._died = asyncio.Event()
                died.set()
            if died.is_set():
                raise aiohttp.ClientPayloadError("the runner died")
            for number, ask in enumerate(call.asks):
                yield Event(number, reply=answer_to(ask.job), identity=IDENTITY)
        finally:
            self._under_way -= 1


def ask(channel: RunnerChannel, *names: str, timeout: float = 5) -> list[asyncio.Task[RunnerReply]]:
    return [asyncio.create_task(channel.ask(job(name), timeout=timeout, request_id="")) for name in names]


async def outcomes(tasks: list[asyncio.Task[RunnerReply]]) -> list[str]:
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [
        type(one).__name__ if isinstance(one, BaseException) else one[0].answer.text if one[0].answer else ""
        for one in found
    ]


@pytest.mark.parametrize(("count", "deaths"), [(1, 2), (2, 2), (8, 2), (9, 3), (20, 3), (64, 3)])
def test_one_poison_is_found_and_all_others_are_answered(count: int, deaths: int) -> None:
    async def main() -> None:
        names = [f"job {number}" for number in range(count)]
        names[count // 2] = "poison"
        runner = Mortal()
        found = await outcomes(ask(RunnerChannel("blip", runner, 99), *names))
        assert found == ["RunnerFailed" if name == "poison" else f"a {name}" for name in names]
        assert runner.deaths == deaths
        assert runner.most == 1  # suspects are tried one call at a time

    run(main())


def test_two_poisons_in_two_calls_are_found() -> None:
    async def main() -> None:
        runner = Mortal()
        channel = RunnerChannel("blip", runner, 99)
        first = ask(channel, "one", "poison 1", "two")
        await settle(1)
        second = ask(channel, "three", "poison 2", "four")
        assert await outcomes(first) == ["a one", "RunnerFailed", "a two"]
        assert await outcomes(second) == ["a three", "RunnerFailed", "a four"]

    run(main())


def test_what_is_asked_while_suspects_are_tried_waits_and_is_sent_once() -> None:
    async def main() -> None:
        runner = Mortal()
        channel = RunnerChannel("blip", runner, 99)
        late: list[asyncio.Task[RunnerReply]] = []
        runner.on_death = lambda: late.extend(ask(channel, "late")) if runner.deaths == 1 else None
        tasks = ask(channel, "one", "poison", "two")
        assert await outcomes(tasks) == ["a one", "RunnerFailed", "a two"]
        assert await outcomes(late) == ["a late"]
        sent = [[each.images[0] for each in call.jobs] for call in runner.calls]
        assert sent[-1] == [b"late"]
        assert sum(b"late" in names for names in sent) == 1

    run(main())


def test_a_suspect_that_hangs_its_runner_holds_others_up_no_longer_than_its_caller_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "_GRACE", 0.05)

    async def main() -> None:
        for_ever = asyncio.Event()

        async def work(call: Call) -> AsyncIterator[Event]:
            if call.asks[0].job != job("hangs"):
                yield Event(0, reply=answer_to(call.asks[0].job), identity=IDENTITY)
            elif len(proxy.calls) == 1:
                raise aiohttp.ClientPayloadError("the runner died")
            else:
                await for_ever.wait()

        proxy = FakeProxy(after=work)
        channel = RunnerChannel("blip", proxy, 99)
        tasks = ask(channel, "hangs", timeout=0.1)
        await until(lambda: len(proxy.calls) == 2)
        tasks += ask(channel, "late")
        assert await outcomes(tasks) == ["DeadlineExceeded", "a late"]
        for_ever.set()
        await settle()

    run(main())


def test_a_caller_that_leaves_just_before_its_job_is_sent_is_not_sent() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        channel = RunnerChannel("blip", proxy, 99)
        (gone,) = ask(channel, "gone")
        original = channel._send

        def send() -> None:
            original()
            gone.cancel()

        channel._send = send  # type: ignore[method-assign]
        await asyncio.gather(gone, return_exceptions=True)
        await settle()
        assert proxy.calls == []
        assert channel._opening == 0

    run(main())
