"""A runner's side of a call: events as they come, jobs that are called off, callers that go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

from pydantic import TypeAdapter

from looksee.core.tasks import Ask, Call, Event, Identity, Job, Reply, Task
from runners import calls
from runners.calls import Calls
from runners.runner import Runner
from tests.gateway.proxy import IDENTITY, answer_to
from tests.support.loops import run, settle

EVENT = TypeAdapter(Event)


class FakeRunner:
    """Answers a job when it is let go; `dropped` are the prompts of those that were cancelled."""

    def __init__(self) -> None:
        self.go: dict[str, asyncio.Event] = {}
        self.dropped: list[str] = []
        self.begun: list[str] = []

    async def infer(self, ask: Ask, listener: Callable[[str], None] | None = None) -> Reply:
        prompt = ask.job.prompt
        self.begun.append(prompt)
        if listener is not None:
            listener(f"{prompt}...")
        try:
            await self.go.setdefault(prompt, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.dropped.append(prompt)
            raise
        if prompt == "bad":
            raise ValueError("a fault of the runner's own")
        return answer_to(ask.job)

    async def identity(self) -> Identity:
        return IDENTITY


def house() -> tuple[FakeRunner, Calls]:
    runner = FakeRunner()
    return runner, Calls(cast(Runner, runner))


def call(*prompts: str, followed: str = "", id: str = "call") -> Call:
    return Call(id, [Ask(job(prompt), 5, followed=prompt == followed) for prompt in prompts])


def job(prompt: str) -> Job:
    return Job(Task.CAPTION, (b"",), prompt)


async def events(lines: AsyncGenerator[bytes, None]) -> list[Event]:
    """What comes next."""
    return [EVENT.validate_json(line) for line in (await anext(lines)).splitlines()]


def answered(number: int, prompt: str) -> Event:
    return Event(number, reply=answer_to(job(prompt)), identity=IDENTITY)


def test_it_says_that_it_has_come_and_then_each_answer_when_it_is_there() -> None:
    async def main() -> None:
        runner, at_work = house()
        lines = at_work.answer(call("one", "two", "three"))
        assert await anext(lines) == b"\n"
        next_ones = asyncio.create_task(events(lines))
        await settle()
        assert not next_ones.done()
        assert runner.begun == ["one", "two", "three"]
        runner.go["two"].set()
        assert await next_ones == [answered(1, "two")]
        runner.go["one"].set()
        runner.go["three"].set()
        assert await events(lines) == [answered(0, "one"), answered(2, "three")]  # together: they came together
        assert [line async for line in lines] == []

    run(main())


def test_of_a_job_that_is_followed_the_text_comes_too() -> None:
    async def main() -> None:
        runner, at_work = house()
        lines = at_work.answer(call("one", "two", followed="two"))
        assert await anext(lines) == b"\n"
        assert await events(lines) == [Event(1, "two...")]
        for prompt in ("one", "two"):
            runner.go[prompt].set()
        assert await events(lines) == [answered(0, "one"), answered(1, "two")]

    run(main())


def test_a_job_that_is_called_off_is_dropped_and_its_neighbour_answered() -> None:
    async def main() -> None:
        runner, at_work = house()
        lines = at_work.answer(call("one", "two"))
        await anext(lines)
        rest = asyncio.create_task(events(lines))
        await settle()
        at_work.cancel([("call", 0), ("another", 1)])
        await settle()
        assert runner.dropped == ["one"]
        runner.go["two"].set()
        assert await rest == [answered(1, "two")]
        assert [line async for line in lines] == []

    run(main())


def test_a_call_whose_jobs_are_all_called_off_ends() -> None:
    async def main() -> None:
        _, at_work = house()
        lines = at_work.answer(call("one", "two"))
        await anext(lines)
        rest = asyncio.create_task(_all(lines))
        await settle()
        at_work.cancel([("call", 0), ("call", 1)])
        assert await rest == []

    run(main())


def test_a_job_may_be_called_off_before_it_comes(monkeypatch: Any) -> None:
    monkeypatch.setattr(calls, "_REMEMBERED", 2)

    async def main() -> None:
        runner, at_work = house()
        at_work.cancel([("call", 0)])
        runner.go["two"] = asyncio.Event()
        runner.go["two"].set()
        assert b"".join(await _all(at_work.answer(call("one", "two")))).strip() == EVENT.dump_json(answered(1, "two"))
        assert runner.begun == ["two"]
        at_work.cancel([("other", 0)])
        at_work.cancel([("call", 7), ("call", 8)])  # too long ago: it is forgotten
        lines = at_work.answer(call("one", id="other"))
        await anext(lines)
        rest = asyncio.create_task(_all(lines))
        await settle()
        runner.go["one"].set()
        assert len(await rest) == 1

    run(main())


def test_a_gateway_that_goes_takes_its_jobs_with_it() -> None:
    async def main() -> None:
        runner, at_work = house()
        lines = at_work.answer(call("one", "two"))
        await anext(lines)
        waiting = asyncio.create_task(events(lines))
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await settle()
        assert runner.dropped == ["one", "two"]

    run(main())


def test_a_fault_of_our_own_is_an_answer_too() -> None:
    async def main() -> None:
        runner, at_work = house()
        runner.go["bad"] = asyncio.Event()
        runner.go["bad"].set()
        lines = at_work.answer(call("bad"))
        await anext(lines)
        (event,) = await events(lines)
        assert event.reply is not None
        assert event.reply.failure is not None
        assert event.reply.failure.code == "runner_failed"
        assert "fault" not in event.reply.failure.message

    run(main())


def test_no_jobs_no_events() -> None:
    async def main() -> None:
        _, at_work = house()
        assert await _all(at_work.answer(call())) == [b"\n"]

    run(main())


async def _all(lines: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [line async for line in lines]
