"""The way to a runner: what shares a call, what is tried again, what is called off, and honest errors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from bentoml.exceptions import BentoMLException, ServiceUnavailable

from looksee.core import errors
from looksee.core.tasks import Call, Event, Failure, Job, Reply, Task
from looksee.gateway.runners import channel as channels
from looksee.gateway.runners.call import RunnerReply
from looksee.gateway.runners.channel import RunnerChannel
from tests.gateway.proxy import IDENTITY, FakeProxy, answer_to
from tests.support.loops import run, settle, until

LOST: list[Callable[[], Exception]] = [
    aiohttp.ServerDisconnectedError,
    lambda: aiohttp.ClientConnectionError("closed"),
    lambda: aiohttp.ClientOSError(104, "Connection reset by peer"),
    lambda: aiohttp.ClientPayloadError("cut off"),
    lambda: ConnectionResetError("Cannot write to closing transport"),
]


def job(name: str) -> Job:
    return Job(Task.CAPTION, (name.encode(),))


def asked(
    proxy: FakeProxy, *names: str, timeout: float = 5, room: int = 99
) -> tuple[RunnerChannel, list[asyncio.Task[RunnerReply]]]:
    to = RunnerChannel("blip", proxy, room)
    return to, [asyncio.create_task(to.ask(job(name), timeout=timeout, request_id=f"id-{name}")) for name in names]


def texts(answers: Sequence[RunnerReply]) -> list[str]:
    return [answer.answer.text if answer.answer else "" for answer, _ in answers]


def sent(proxy: FakeProxy) -> list[list[str]]:
    return [[each.images[0].decode() for each in call.jobs] for call in proxy.calls]


class Held:
    """Calls that are on their way, or under way, until they are let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def before(self, _: Call) -> None:
        await self.go.wait()

    async def after(self, call: Call) -> AsyncIterator[Event]:
        await self.go.wait()
        for number, ask in enumerate(call.asks):
            yield Event(number, reply=answer_to(ask.job), identity=IDENTITY)


def test_what_is_asked_in_one_moment_is_one_call() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        _, tasks = asked(proxy, "one", "two")
        assert await asyncio.gather(*tasks) == [(answer_to(job(name)), IDENTITY) for name in ("one", "two")]
        (came,) = proxy.calls
        assert [(ask.job, ask.request_id) for ask in came.call.asks] == [(job("one"), "id-one"), (job("two"), "id-two")]
        assert all(4.5 < ask.timeout <= 5 and not ask.followed for ask in came.call.asks)

    run(main())


def test_what_may_have_ended_another_runner_is_tried_in_a_call_of_its_own() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        to, tasks = asked(proxy, "one", "two")
        moved = to.ask(job("suspect"), timeout=5, request_id="", starts=1, suspect=True)
        await asyncio.gather(*tasks, moved)
        assert sorted(sent(proxy)) == [["one", "two"], ["suspect"]]

    run(main())


def test_while_calls_are_on_their_way_others_gather() -> None:
    async def main() -> None:
        held = Held()
        proxy = FakeProxy(before=held.before)
        to, tasks = asked(proxy, "one")
        await settle()
        for name in ("two", "three", "four", "five"):
            tasks.append(asyncio.create_task(to.ask(job(name), timeout=5, request_id="")))
            await settle()
        assert sent(proxy) == [["one"], ["two"]]
        held.go.set()
        assert texts(await asyncio.gather(*tasks)) == ["a one", "a two", "a three", "a four", "a five"]
        assert sent(proxy) == [["one"], ["two"], ["three", "four", "five"]]

    run(main())


def test_a_call_that_has_come_holds_up_nobody() -> None:
    async def main() -> None:
        held = Held()
        proxy = FakeProxy(after=held.after)
        to, tasks = asked(proxy)
        for name in ("one", "two", "three", "four"):
            tasks.append(asyncio.create_task(to.ask(job(name), timeout=5, request_id="")))
            await settle(20)
        assert sent(proxy) == [["one"], ["two"], ["three"], ["four"]]
        held.go.set()
        await asyncio.gather(*tasks)

    run(main())


def test_each_answer_comes_when_its_job_ends() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def one_by_one(call: Call) -> AsyncIterator[Event]:
            yield Event(1, reply=answer_to(call.asks[1].job), identity=IDENTITY)
            await go.wait()
            yield Event(0, reply=answer_to(call.asks[0].job), identity=IDENTITY)

        _, (slow, quick) = asked(FakeProxy(after=one_by_one), "slow", "quick")
        assert texts([await quick]) == ["a quick"]
        await settle()
        assert not slow.done()
        go.set()
        assert texts([await slow]) == ["a slow"]

    run(main())


def test_a_call_has_a_limit_of_jobs_and_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_MAX_JOBS", 3)
    monkeypatch.setattr(channels, "_MAX_BYTES", 8)

    async def main() -> None:
        proxy = FakeProxy()
        _, tasks = asked(proxy, "1", "2", "3", "4", "longer than eight", "5", "sixes", "sevens")
        await asyncio.gather(*tasks)
        assert sent(proxy) == [["1", "2", "3"], ["4"], ["longer than eight"], ["5", "sixes"], ["sevens"]]

    run(main())


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lines_may_be_torn_anywhere(size: int) -> None:
    class Torn(FakeProxy):
        async def infer(self, *, call: Call) -> AsyncIterator[bytes]:
            whole = b"".join([chunk async for chunk in super().infer(call=call)])
            for start in range(0, len(whole), size):
                yield whole[start : start + size]

    async def main() -> None:
        _, tasks = asked(Torn(), "\u00e9\u4e2d", "two")
        assert texts(await asyncio.gather(*tasks)) == ["a \u00e9\u4e2d", "a two"]

    run(main())


# --- following -------------------------------------------------------------------------------------------------------


def test_a_follower_hears_the_text_as_it_comes() -> None:
    async def main() -> None:
        async def tell(call: Call) -> AsyncIterator[Event]:
            assert [ask.followed for ask in call.asks] == [True]
            for piece in ("a ", "o", "ne"):
                yield Event(0, piece)
            yield Event(0, reply=answer_to(call.asks[0].job), identity=IDENTITY)

        heard: list[str] = []
        to = RunnerChannel("blip", FakeProxy(after=tell), 9)
        assert texts([await to.ask(job("one"), timeout=5, request_id="", listener=heard.append)]) == ["a one"]
        assert heard == ["a ", "o", "ne"]

    run(main())


def test_who_has_heard_something_is_not_told_from_the_start_again() -> None:
    async def main() -> None:
        async def break_off(call: Call) -> AsyncIterator[Event]:
            for number, ask in enumerate(call.asks):
                if ask.followed:
                    yield Event(number, "a ")
            raise aiohttp.ClientPayloadError("cut off")

        proxy = FakeProxy(after=break_off)
        to, (plain,) = asked(proxy, "plain")
        followed = asyncio.create_task(to.ask(job("told"), timeout=5, request_id="", listener=lambda _: None))
        await settle(3)
        proxy.after = None
        assert texts([await plain]) == ["a plain"]
        with pytest.raises(errors.RunnerFailed):
            await followed
        assert sent(proxy) == [["plain", "told"], ["plain"]]

    run(main())


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_connection_is_tried_once_more(lost: Callable[[], Exception]) -> None:
    async def main() -> None:
        proxy = FakeProxy(troubles=[lost()])
        _, tasks = asked(proxy, "one", "two")
        assert texts(await asyncio.gather(*tasks)) == ["a one", "a two"]
        assert sent(proxy) == [["one", "two"]] * 2
        assert len({call.call.id for call in proxy.calls}) == 2

    run(main())


@pytest.mark.parametrize("lost", LOST)
def test_connections_that_died_with_the_runner_are_passed_over(lost: Callable[[], Exception]) -> None:
    """The runner had the job when it was killed, and two connections that were kept open are as dead."""

    async def main() -> None:
        async def killed(call: Call) -> AsyncIterator[Event]:
            proxy.after = None
            proxy.troubles = [lost(), lost()]
            raise lost()
            yield

        proxy = FakeProxy(after=killed)
        _, (task,) = asked(proxy, "one")
        assert texts([await task]) == ["a one"]
        assert len(proxy.calls) == 4

    run(main())


@pytest.mark.parametrize("lost", LOST)
def test_a_job_is_started_twice_at_most(lost: Callable[[], Exception]) -> None:
    """It may be what kills the runner."""

    async def main() -> None:
        async def killed(call: Call) -> AsyncIterator[Event]:
            raise lost()
            yield

        proxy = FakeProxy(after=killed)
        _, (task,) = asked(proxy, "one")
        with pytest.raises(errors.RunnerFailed):
            await task
        assert len(proxy.calls) == 2

    run(main())


def test_who_leaves_while_a_job_waits_to_be_sent_again_is_not_asked_for() -> None:
    async def main() -> None:
        proxy = FakeProxy(troubles=[aiohttp.ServerDisconnectedError(), aiohttp.ServerDisconnectedError()])
        _, (task,) = asked(proxy, "one")
        await until(lambda: len(proxy.calls) == 2)
        await settle()
        task.cancel()
        await asyncio.sleep(0.2)
        assert len(proxy.calls) == 2
        assert proxy.cancelled == []

    run(main())


@pytest.mark.parametrize("lost", LOST)
def test_a_runner_that_is_never_there_is_given_up(lost: Callable[[], Exception]) -> None:
    async def main() -> None:
        proxy = FakeProxy(troubles=[lost() for _ in range(9)])
        _, (task,) = asked(proxy, "one")
        with pytest.raises(errors.RunnerFailed) as caught:
            await task
        assert len(proxy.calls) == 4
        assert "'blip'" in caught.value.message
        assert caught.value.retry_after

    run(main())


def test_what_was_answered_before_the_connection_was_lost_is_not_asked_again() -> None:
    async def main() -> None:
        async def half(call: Call) -> AsyncIterator[Event]:
            yield Event(0, reply=answer_to(call.asks[0].job), identity=IDENTITY)
            proxy.after = None
            raise aiohttp.ClientPayloadError("cut off")

        proxy = FakeProxy(after=half)
        _, tasks = asked(proxy, "one", "two")
        assert texts(await asyncio.gather(*tasks)) == ["a one", "a two"]
        assert sent(proxy) == [["one", "two"], ["two"]]

    run(main())


def test_the_second_try_has_what_is_left_of_the_time() -> None:
    async def main() -> None:
        async def lose(_: Any) -> None:
            await asyncio.sleep(0.05)

        proxy = FakeProxy(troubles=[aiohttp.ServerDisconnectedError()], before=lose)
        began = time.monotonic()
        _, (task,) = asked(proxy, "one")
        await task
        first, second = (call.timeout for call in proxy.calls)
        assert 0.05 <= first - second <= time.monotonic() - began

    run(main())


def test_no_time_left_is_not_negative() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        _, (task,) = asked(proxy, "one", timeout=-3)
        await task
        assert proxy.calls[0].timeout == 0

    run(main())


@pytest.mark.parametrize(
    "trouble",
    [
        BentoMLException("/srv/secret/path failed"),
        ServiceUnavailable("no"),
        aiohttp.InvalidURL("http://secret"),
    ],
)
def test_a_runner_that_fails_is_not_asked_again(trouble: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        proxy = FakeProxy(troubles=[trouble])
        _, (task,) = asked(proxy, "one")
        with pytest.raises(errors.RunnerFailed) as caught:
            await task
        assert len(proxy.calls) == 1
        assert caught.value.__cause__ is trouble
        assert "secret" not in caught.value.message

    with caplog.at_level(logging.ERROR, logger="looksee.gateway"):
        run(main())
    assert type(trouble).__name__ in caplog.text


def test_an_answer_that_nobody_understands_is_the_runners_fault() -> None:
    class Strange(FakeProxy):
        async def infer(self, *, call: Call) -> AsyncIterator[bytes]:
            yield b"\n<html>\n"

    async def main() -> None:
        _, (task,) = asked(Strange(), "one")
        with pytest.raises(errors.RunnerFailed):
            await task

    run(main())


def test_an_answer_to_what_nobody_asked_is_the_runners_fault() -> None:
    async def main() -> None:
        async def another(call: Call) -> AsyncIterator[Event]:
            yield Event(7, reply=answer_to(call.asks[0].job), identity=IDENTITY)

        _, (task,) = asked(FakeProxy(after=another), "one")
        with pytest.raises(errors.RunnerFailed):
            await task

    run(main())


def test_a_call_that_ends_too_early_hangs_nobody() -> None:
    async def main() -> None:
        async def nothing(_: Call) -> AsyncIterator[Event]:
            for event in list[Event]():
                yield event

        _, (task,) = asked(FakeProxy(after=nothing), "one")
        with pytest.raises(errors.RunnerFailed):
            await task

    run(main())


@pytest.mark.parametrize("trouble", [TimeoutError(), aiohttp.ServerTimeoutError(), aiohttp.ConnectionTimeoutError()])
def test_a_timeout_is_a_missed_deadline(trouble: Exception) -> None:
    async def main() -> None:
        _, (task,) = asked(FakeProxy(troubles=[trouble, trouble]), "one")
        with pytest.raises(errors.DeadlineExceeded, match="'blip'"):
            await task

    run(main())


def test_a_silent_runner_is_given_up_a_little_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_GRACE", 0.05)

    async def main() -> None:
        held = Held()
        start = time.monotonic()
        proxy = FakeProxy(after=held.after)
        _, (task,) = asked(proxy, "one", timeout=0.05)
        with pytest.raises(errors.DeadlineExceeded):
            await task
        assert time.monotonic() - start > 0.09
        await settle()
        assert proxy.cancelled == [(proxy.calls[0].call.id, 0)]
        held.go.set()
        await settle()

    run(main())


# --- who leaves ------------------------------------------------------------------------------------------------------


def leave(*tasks: asyncio.Task[RunnerReply]) -> Awaitable[Any]:
    for task in tasks:
        task.cancel()
    return asyncio.gather(*tasks, return_exceptions=True)


def test_a_job_whose_caller_leaves_is_called_off_and_its_neighbour_is_not() -> None:
    async def main() -> None:
        held = Held()
        proxy = FakeProxy(after=held.after)
        _, (one, two, three) = asked(proxy, "one", "two", "three")
        await settle(20)
        await leave(one, three)
        await settle()
        (call,) = proxy.calls
        assert proxy.cancelled == [(call.call.id, 0), (call.call.id, 2)]
        held.go.set()
        assert texts([await two]) == ["a two"]
        await settle()
        assert len(proxy.cancelled) == 2

    run(main())


def test_a_job_that_waits_to_be_sent_is_just_not_sent() -> None:
    async def main() -> None:
        held = Held()
        proxy = FakeProxy(before=held.before)
        to, tasks = asked(proxy)
        for name in ("one", "two", "three", "four"):
            tasks.append(asyncio.create_task(to.ask(job(name), timeout=5, request_id="")))
            await settle()
        await leave(tasks[2])
        held.go.set()
        assert texts(await asyncio.gather(tasks[0], tasks[1], tasks[3])) == ["a one", "a two", "a four"]
        assert sent(proxy) == [["one"], ["two"], ["four"]]
        assert proxy.cancelled == []

    run(main())


def test_a_runner_that_cannot_be_told_does_not_matter() -> None:
    async def main() -> None:
        async def fail() -> None:
            raise aiohttp.ClientConnectionError("closed")

        held = Held()
        proxy = FakeProxy(after=held.after)
        proxy.on_cancel = fail
        to, (one,) = asked(proxy, "one")
        await settle(20)
        await leave(one)
        await settle()
        held.go.set()
        await settle()
        proxy.after = None
        assert texts([await to.ask(job("two"), timeout=5, request_id="")]) == ["a two"]

    run(main())


def test_a_failure_is_an_answer_too() -> None:
    async def main() -> None:
        refused = Reply(failure=Failure.of(errors.Overloaded("full", retry_after=3)))
        _, (task,) = asked(FakeProxy(answer=lambda _: refused), "one")
        assert await task == (refused, IDENTITY)

    run(main())


# --- room ------------------------------------------------------------------------------------------------------------


def test_no_more_jobs_are_taken_than_there_is_room_for() -> None:
    async def main() -> None:
        held = Held()
        proxy = FakeProxy(after=held.after)
        to, tasks = asked(proxy, "one", "two", room=2)
        await settle(20)
        with pytest.raises(errors.Overloaded, match="'blip'") as caught:
            await to.ask(job("three"), timeout=5, request_id="")
        assert (caught.value.retry_after or 0) >= 1
        with pytest.raises(errors.Overloaded):
            to.check_room()
        held.go.set()
        await asyncio.gather(*tasks)
        to.check_room()
        assert texts([await to.ask(job("three"), timeout=5, request_id="")]) == ["a three"]
        assert sent(proxy) == [["one", "two"], ["three"]]

    run(main())


@pytest.mark.parametrize("told", [True, False])
def test_who_leaves_makes_room_once_the_runner_knows(told: bool) -> None:
    """It counts too, and would refuse a job that came before it knew. One that cannot be told is not waited for."""

    async def main() -> None:
        held, knows = Held(), asyncio.Event()

        async def on_cancel() -> None:
            await knows.wait()
            if not told:
                raise aiohttp.ClientConnectionError("closed")

        proxy = FakeProxy(after=held.after)
        proxy.on_cancel = on_cancel
        to, tasks = asked(proxy, "one", "two", room=2)
        await settle(20)
        await leave(*tasks)
        await settle()
        with pytest.raises(errors.Overloaded):
            to.check_room()
        knows.set()
        await settle()
        assert to._pending == 0
        to.check_room()
        held.go.set()
        await settle()

    run(main())


def test_a_host_without_a_runner_is_told_soon() -> None:
    async def main() -> None:
        refused = aiohttp.ClientConnectorError(ConnectionKey("x", 1, False, True, None, None, None), OSError("refused"))
        proxy = FakeProxy(troubles=[refused for _ in range(9)])
        _, (task,) = asked(proxy, "one")
        with pytest.raises(errors.RunnerFailed):
            await task
        assert len(proxy.calls) == 2

    run(main())


def test_a_job_that_is_overdue_is_not_sent_again() -> None:
    async def main() -> None:
        proxy = FakeProxy(troubles=[aiohttp.ServerDisconnectedError() for _ in range(9)])
        _, (task,) = asked(proxy, "one", timeout=0.15)
        with pytest.raises(errors.RunnerFailed):
            await task
        assert len(proxy.calls) < 4

    run(main())
