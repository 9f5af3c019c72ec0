"""Single flight: who shares a run, who waits for whom, and what happens when somebody leaves or fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Hashable, Sequence

import pytest

from looksee.gateway.single_flight import SingleFlight
from tests.support.loops import run, settle


class Work:
    """Work that says `<name>:<key>` for each key, once it is let go; remembers what it was asked."""

    def __init__(
        self, name: str, keys: Sequence[Hashable], *, error: Exception | None = None, go: bool = False
    ) -> None:
        self.name, self.keys, self.error = name, keys, error
        self.asked: list[list[int]] = []
        self.cancelled = 0
        self.go = asyncio.Event()
        if go:
            self.go.set()

    async def __call__(self, indices: list[int]) -> list[str]:
        self.asked.append(indices)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return [f"{self.name}:{self.keys[index]}" for index in indices]


Flown = asyncio.Task[tuple[list[str], list[bool]]]


async def start(flight: SingleFlight[str], work: Work) -> Flown:
    task = asyncio.create_task(flight.run(work.keys, work))
    await settle()
    return task


async def assert_clean(flight: SingleFlight[str], *keys: Hashable) -> None:
    """Nothing lingers: each key would be run anew."""
    await settle()
    fresh = Work("fresh", keys, go=True)
    results, joined = await flight.run(keys, fresh)
    assert results == [f"fresh:{key}" for key in keys]
    assert not any(joined)
    assert fresh.asked == [list(range(len(keys)))]


def test_results_come_in_the_order_of_the_keys() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work("w", ["c", "a", "b"], go=True)
        assert await flight.run(work.keys, work) == (["w:c", "w:a", "w:b"], [False, False, False])
        assert work.asked == [[0, 1, 2]]
        await assert_clean(flight, "a", "b", "c")

    run(main())


def test_nothing_asked_is_nothing_run() -> None:
    async def main() -> None:
        work = Work("w", [])
        assert await SingleFlight[str]().run([], work) == ([], [])
        assert work.asked == []

    run(main())


def test_identical_keys_at_the_same_time_run_once() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        works = [Work(str(number), ["k"]) for number in range(5)]
        tasks = [await start(flight, work) for work in works]
        assert [len(work.asked) for work in works] == [1, 0, 0, 0, 0]
        works[0].go.set()
        assert [await task for task in tasks] == [(["0:k"], [number > 0]) for number in range(5)]
        await assert_clean(flight, "k")

    run(main())


def test_one_after_the_other_run_twice() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        for name in ("first", "second"):
            work = Work(name, ["k"], go=True)
            assert await flight.run(["k"], work) == ([f"{name}:k"], [False])

    run(main())


def test_duplicates_within_one_call_run_once() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work("w", ["a", "b", "a", "a"], go=True)
        results, joined = await flight.run(work.keys, work)
        assert results == ["w:a", "w:b", "w:a", "w:a"]
        assert work.asked == [[0, 1]]
        assert joined[:2] == [False, False]
        await assert_clean(flight, "a", "b")

    run(main())


def test_a_partial_overlap_runs_only_what_is_new() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        first, second = Work("1", ["a", "b"]), Work("2", ["b", "c", "a", "d"])
        one, two = await start(flight, first), await start(flight, second)
        assert (first.asked, second.asked) == ([[0, 1]], [[1, 3]])
        second.go.set()
        await settle()
        assert not two.done()
        first.go.set()
        assert await one == (["1:a", "1:b"], [False, False])
        assert await two == (["1:b", "2:c", "1:a", "2:d"], [True, False, True, False])
        await assert_clean(flight, "a", "b", "c", "d")

    run(main())


def test_different_keys_do_not_wait_for_each_other() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        slow, quick = Work("slow", ["a"]), Work("quick", ["b"], go=True)
        waiting = await start(flight, slow)
        assert await flight.run(["b"], quick) == (["quick:b"], [False])
        assert not waiting.done()
        slow.go.set()
        await waiting

    run(main())


def test_an_error_reaches_all_who_wait_and_nothing_lingers() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        failing = Work("1", ["a", "b"], error=LookupError("lost"))
        tasks = [
            await start(flight, failing),
            await start(flight, Work("2", ["a"])),
            await start(flight, Work("3", ["b", "a", "b"])),
        ]
        failing.go.set()
        for task in tasks:
            with pytest.raises(LookupError, match="lost"):
                await task
        await assert_clean(flight, "a", "b")

    run(main())


def test_an_error_of_one_run_cancels_ones_own_run_that_nobody_else_wants() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        failing, own = Work("1", ["a"], error=LookupError("lost")), Work("2", ["a", "b"])
        one, two = await start(flight, failing), await start(flight, own)
        failing.go.set()
        for task in (one, two):
            with pytest.raises(LookupError, match="lost"):
                await task
        await settle()
        assert own.cancelled == 1
        await assert_clean(flight, "a", "b")

    run(main())


@pytest.mark.parametrize("answers", [[], ["only one"], ["one", "two", "three"]])
def test_a_wrong_number_of_results_hangs_nobody(answers: list[str]) -> None:
    async def main() -> None:
        flight = SingleFlight[str]()

        async def work(_: list[int]) -> list[str]:
            return answers

        outcome = await asyncio.gather(flight.run(["a", "b"], work), return_exceptions=True)
        if len(answers) < 2:
            assert isinstance(outcome[0], ValueError)
        await assert_clean(flight, "a", "b")

    run(main())


def test_a_leaving_waiter_does_not_cancel_others() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work("1", ["k"])
        tasks = [await start(flight, work), *[await start(flight, Work(str(number), ["k"])) for number in (2, 3)]]
        for leaver in (tasks[0], tasks[2]):  # he who began it, too
            leaver.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaver
        await settle()
        assert work.cancelled == 0
        work.go.set()
        assert await tasks[1] == (["1:k"], [True])
        await assert_clean(flight, "k")

    run(main())


def test_the_last_to_leave_cancels_the_work() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work("1", ["k"])
        tasks = [await start(flight, work), await start(flight, Work("2", ["k"]))]
        for left, leaver in enumerate(tasks):
            assert work.cancelled == 0, left
            leaver.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaver
            await settle()
        assert work.cancelled == 1
        await assert_clean(flight, "k")

    run(main())


def test_leaving_cancels_only_runs_that_nobody_waits_for() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        first, second = Work("1", ["a"]), Work("2", ["a", "b"])
        one, two = await start(flight, first), await start(flight, second)
        two.cancel()
        with pytest.raises(asyncio.CancelledError):
            await two
        await settle()
        assert (first.cancelled, second.cancelled) == (0, 1)
        first.go.set()
        assert await one == (["1:a"], [False])
        await assert_clean(flight, "a", "b")

    run(main())


def test_a_run_whose_waiters_left_may_fail_in_silence() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()

        async def stubborn(_: list[int]) -> list[str]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise LookupError("closed while working") from None
            return []

        task = asyncio.create_task(flight.run(["k"], stubborn))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_clean(flight, "k")

    run(main())


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_who_comes_while_a_run_is_being_cancelled_gets_an_answer(turns: int) -> None:
    """A page that is reloaded: its first request leaves, the same request comes again at once."""

    async def main() -> None:
        flight = SingleFlight[str]()

        async def slow_to_leave(_: list[int]) -> list[str]:
            try:
                await asyncio.Event().wait()
            finally:
                await settle(20)  # a connection is closed in here
            return []

        leaver = asyncio.create_task(flight.run(["k"], slow_to_leave))
        await settle()
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        await settle(turns)
        newcomer = Work("new", ["k"], go=True)
        assert await flight.run(["k"], newcomer) == (["new:k"], [False])
        await settle(30)  # the old run ends, and takes nothing of the new one with it
        await assert_clean(flight, "k")

    run(main())


def test_a_storm_of_callers() -> None:
    """Random keys, failures and departures: everyone who stays gets the right answer, and nothing is left behind."""

    async def main() -> None:
        rng = random.Random(3)
        flight = SingleFlight[str]()
        running: dict[str, int] = {}

        async def caller(keys: list[str], patience: float) -> str:
            async def work(indices: list[int]) -> list[str]:
                own = [keys[index] for index in indices]
                for key in own:
                    running[key] = running.get(key, 0) + 1
                    assert running[key] == 1, "the same key runs twice"
                try:
                    await asyncio.sleep(rng.choice((0, 0.001, 0.004)))
                    if rng.random() < 0.2:
                        raise LookupError("lost")
                    return [key.upper() for key in own]
                finally:
                    for key in own:
                        running[key] -= 1

            try:
                async with asyncio.timeout(patience):
                    results, _ = await flight.run(keys, work)
            except TimeoutError:
                return "left"
            except LookupError:
                return "failed"
            assert results == [key.upper() for key in keys]
            return "answered"

        async def come(number: int) -> str:
            await asyncio.sleep(number * 0.0002)
            return await caller([rng.choice("abcdef") for _ in range(rng.randint(1, 4))], rng.choice((0.002, 1, 1)))

        outcomes = await asyncio.gather(*(come(number) for number in range(400)))
        assert min(outcomes.count(kind) for kind in ("left", "failed", "answered")) > 10
        assert set(running.values()) == {0}
        await assert_clean(flight, *"abcdef")

    run(main())
