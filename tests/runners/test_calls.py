"""A runner's side of a call: its events, cancelled jobs, and a gateway that disconnects."""

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
    """Answers a job when its event in `go` is set; `dropped` has the prompts of the cancelled ones."""

    name = "toy"

    def __init__(self) -> None:
        self.go: dict[str, asyncio.Event] = {}
        self.dropped: list[str] = []
        self.begun: list[str] = []

    async def infer(self, ask: Ask, listener: Callable[[str], None] | None, on_wait: Callable[[float], None]) -> Reply:
        prompt = ask.job.prompt
        self.begun.append(prompt)
        if ask.waits_apart:
            on_wait(60.0)
            on_wait(0.0)
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


def fake_runner() -> tuple[FakeRunner, Calls]:
    runner = FakeRunner()
    return runner, Calls(cast(Runner, runner))


def call(*prompts: str, followed: str = "", id: str = "call") -> Call:
    return Call(id, [Ask(job(prompt), 5, followed=prompt == followed) for prompt in prompts])


def job(prompt: str) -> Job:
    return Job(Task.CAPTION, (b"",), prompt)


async def events(lines: AsyncGenerator[bytes, None]) -> list[Event]:
    """The events of the next chunk."""
    return [EVENT.validate_json(line) for line in (await anext(lines)).splitlines()]


def answered(number: int, prompt: str) -> Event:
    return Event(number, reply=answer_to(job(prompt)), identity=IDENTITY)


def test_a_call_is_acknowledged_and_each_job_answered_as_it_ends() -> None:
    async def main() -> None:
        runner, active = fake_runner()
        lines = active.answer(call("one", "two", "three"))
        assert await anext(lines) == b"\n"
        next_ones = asyncio.create_task(events(lines))
        await settle()
        assert not next_ones.done()
        assert runner.begun == ["one", "two", "three"]
        runner.go["two"].set()
        assert await next_ones == [answered(1, "two")]
        runner.go["one"].set()
        runner.go["three"].set()
        assert await events(lines) == [
            answered(0, "one"),
            answered(2, "three"),
        ]  # ready together: one chunk
        assert [line async for line in lines] == []

    run(main())


def test_the_text_of_a_followed_job_is_streamed() -> None:
    async def main() -> None:
        runner, active = fake_runner()
        lines = active.answer(call("one", "two", followed="two"))
        assert await anext(lines) == b"\n"
        assert await events(lines) == [Event(1, "two...")]
        for prompt in ("one", "two"):
            runner.go[prompt].set()
        assert await events(lines) == [answered(0, "one"), answered(1, "two")]

    run(main())


def test_a_cancelled_job_is_dropped_and_the_other_answered() -> None:
    async def main() -> None:
        runner, active = fake_runner()
        lines = active.answer(call("one", "two"))
        await anext(lines)
        rest = asyncio.create_task(events(lines))
        await settle()
        active.cancel([("call", 0), ("another", 1)])
        await settle()
        assert runner.dropped == ["one"]
        runner.go["two"].set()
        assert await rest == [answered(1, "two")]
        assert [line async for line in lines] == []

    run(main())


def test_a_call_whose_jobs_are_all_cancelled_ends() -> None:
    async def main() -> None:
        _, active = fake_runner()
        lines = active.answer(call("one", "two"))
        await anext(lines)
        rest = asyncio.create_task(_all(lines))
        await settle()
        active.cancel([("call", 0), ("call", 1)])
        assert await rest == []

    run(main())


def test_a_job_may_be_cancelled_before_it_arrives(monkeypatch: Any) -> None:
    monkeypatch.setattr(calls, "_MAX_EARLY_CANCELS", 2)

    async def main() -> None:
        runner, active = fake_runner()
        active.cancel([("call", 0)])
        runner.go["two"] = asyncio.Event()
        runner.go["two"].set()
        assert b"".join(await _all(active.answer(call("one", "two")))).strip() == EVENT.dump_json(answered(1, "two"))
        assert runner.begun == ["two"]
        active.cancel([("other", 0)])
        active.cancel([("call", 7), ("call", 8)])  # more than are kept: the first one is forgotten
        lines = active.answer(call("one", id="other"))
        await anext(lines)
        rest = asyncio.create_task(_all(lines))
        await settle()
        runner.go["one"].set()
        assert len(await rest) == 1

    run(main())


def test_jobs_are_cancelled_when_the_gateway_disconnects() -> None:
    async def main() -> None:
        runner, active = fake_runner()
        lines = active.answer(call("one", "two"))
        await anext(lines)
        waiting = asyncio.create_task(events(lines))
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await settle()
        assert runner.dropped == ["one", "two"]

    run(main())


def test_an_exception_of_the_runner_is_a_failure_of_the_job() -> None:
    async def main() -> None:
        runner, active = fake_runner()
        runner.go["bad"] = asyncio.Event()
        runner.go["bad"].set()
        lines = active.answer(call("bad"))
        await anext(lines)
        (event,) = await events(lines)
        assert event.reply is not None
        assert event.reply.failure is not None
        assert event.reply.failure.code == "runner_failed"
        assert "fault" not in event.reply.failure.message

    run(main())


def test_no_jobs_no_events() -> None:
    async def main() -> None:
        _, active = fake_runner()
        assert await _all(active.answer(call())) == [b"\n"]

    run(main())


async def _all(lines: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [line async for line in lines]
