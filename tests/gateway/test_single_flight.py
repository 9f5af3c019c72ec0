"""Single flight: which calls share a run, how long each waits, and what happens when one leaves or the run fails."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from looksee.core import errors
from looksee.gateway import single_flight as module
from looksee.gateway.broadcast import Listener
from looksee.gateway.single_flight import SingleFlight
from tests.support.loops import run, settle

LONG = 100.0


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE", 0.01)


class Work:
    """Work that ends with its name, or as `ends` says, when it is let go; like a runner it fails at its deadline."""

    def __init__(self, name: str = "done", *, error: Exception | None = None, go: bool = False) -> None:
        self.name, self.error = name, error
        self.given: list[float] = []  # seconds of each time it was begun
        self.cancelled = 0
        self.kept: list[str] = []
        self.go = asyncio.Event()
        if go:
            self.go.set()

    async def __call__(self, until: float, _: Listener | None) -> str:
        self.given.append(until - time.monotonic())
        try:
            async with asyncio.timeout(self.given[-1]):
                await self.go.wait()
        except TimeoutError:
            raise errors.DeadlineExceeded("late") from None
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return self.name

    async def keep(self, result: str) -> None:
        self.kept.append(result)


def fly(flight: SingleFlight[str], work: Work, key: str = "k", seconds: float = LONG) -> asyncio.Task[str]:
    return asyncio.create_task(flight.run(key, work, work.keep, deadline=time.monotonic() + seconds))


async def start(flight: SingleFlight[str], work: Work, key: str = "k", seconds: float = LONG) -> asyncio.Task[str]:
    task = fly(flight, work, key, seconds)
    await settle()
    return task


async def leave(*tasks: asyncio.Task[str]) -> None:
    for task in tasks:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await settle()


async def assert_clean(flight: SingleFlight[str], *keys: str) -> None:
    """Nothing lingers: each key would be run anew."""
    await settle()
    for key in keys or ["k"]:
        assert key not in flight
        assert await fly(flight, Work("fresh", go=True), key) == "fresh"


def test_what_is_asked_at_the_same_time_runs_once() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        works = [Work(str(number)) for number in range(5)]
        assert "k" not in flight
        tasks = [await start(flight, work) for work in works]
        assert "k" in flight
        works[0].go.set()
        assert [await task for task in tasks] == ["0"] * 5
        assert [len(work.given) for work in works] == [1, 0, 0, 0, 0]
        assert [work.kept for work in works] == [["0"], [], [], [], []]
        await assert_clean(flight)

    run(main())


def test_one_after_the_other_run_twice() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        for name in ("first", "second"):
            assert await fly(flight, Work(name, go=True)) == name

    run(main())


def test_different_keys_do_not_wait_for_each_other() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        slow = Work("slow")
        waiting = await start(flight, slow, "a")
        assert await fly(flight, Work("quick", go=True), "b") == "quick"
        assert not waiting.done()
        slow.go.set()
        assert await waiting == "slow"

    run(main())


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        failing = Work(error=LookupError("lost"))
        tasks = [await start(flight, failing), await start(flight, Work())]
        failing.go.set()
        for task in tasks:
            with pytest.raises(LookupError, match="lost"):
                await task
        assert failing.kept == []
        await assert_clean(flight)

    run(main())


# --- keeping ---------------------------------------------------------------------------------------------------------


def test_nobody_waits_until_a_result_is_kept_and_whoever_comes_meanwhile_has_it_at_once() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        kept = asyncio.Event()

        async def keep(_: str) -> None:
            await kept.wait()

        work = Work(go=True)
        assert await flight.run("k", work, keep, deadline=time.monotonic() + LONG) == "done"
        await settle()
        assert "k" in flight
        assert await fly(flight, Work("never begun")) == "done"  # and its departure does not stop the keeping
        assert len(work.given) == 1
        kept.set()
        await assert_clean(flight)

    run(main())


# --- deadlines -------------------------------------------------------------------------------------------------------


def test_a_run_is_given_the_longest_deadline_of_those_who_begin_it() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work(go=True)
        tasks = [fly(flight, work, seconds=seconds) for seconds in (1, 50, 7)]
        await asyncio.gather(*tasks)
        (given,) = work.given
        assert 49 < given <= 50

    run(main())


def test_who_has_less_time_than_the_run_leaves_by_itself() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work()
        patient = await start(flight, work)
        began = time.monotonic()
        hasty = fly(flight, Work(), seconds=0.05)
        with pytest.raises(errors.DeadlineExceeded):
            await hasty
        assert 0.05 < time.monotonic() - began < 1
        assert (work.cancelled, patient.done()) == (0, False)
        work.go.set()
        assert await patient == "done"
        await assert_clean(flight)

    run(main())


def test_who_has_more_time_than_the_run_has_it_begun_anew() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work()
        hasty = await start(flight, work, seconds=0.05)
        joined = [await start(flight, Work(), seconds=seconds) for seconds in (30, 60, 0.06)]
        with pytest.raises(errors.DeadlineExceeded):
            await hasty
        with pytest.raises(errors.DeadlineExceeded):
            await joined[2]
        work.go.set()
        assert [await task for task in joined[:2]] == ["done", "done"]
        assert [round(given, -1) for given in work.given] == [0, 60]  # once, for both waiters
        await assert_clean(flight)

    run(main())


def test_nothing_is_begun_anew_for_nobody() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work()
        hasty = await start(flight, work, seconds=0.05)
        left = await start(flight, Work())
        await leave(left)
        with pytest.raises(errors.DeadlineExceeded):
            await hasty
        assert len(work.given) == 1
        await assert_clean(flight)

    run(main())


def test_a_run_that_does_not_end_at_its_deadline_is_cancelled_when_the_last_one_leaves() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        cancelled = asyncio.Event()

        async def hangs(_: float, __: Listener | None) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return ""

        asked = [flight.run("k", hangs, Work().keep, deadline=time.monotonic() + seconds) for seconds in (0.02, 0.1)]
        first, second = map(asyncio.ensure_future, asked)
        with pytest.raises(errors.DeadlineExceeded, match="within its time"):
            await first
        assert not cancelled.is_set()
        with pytest.raises(errors.DeadlineExceeded):
            await second
        await settle()
        assert cancelled.is_set()
        await assert_clean(flight)

    run(main())


# --- departures ------------------------------------------------------------------------------------------------------


def test_a_leaving_waiter_does_not_cancel_others() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work()
        tasks = [await start(flight, work), await start(flight, Work()), await start(flight, Work())]
        await leave(tasks[0], tasks[2])  # the first one, which began the run, too
        assert work.cancelled == 0
        work.go.set()
        assert await tasks[1] == "done"
        await assert_clean(flight)

    run(main())


def test_the_last_to_leave_cancels_the_work() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        work = Work()
        tasks = [await start(flight, work), await start(flight, Work())]
        await leave(tasks[0])
        assert work.cancelled == 0
        await leave(tasks[1])
        assert work.cancelled == 1
        await assert_clean(flight)

    run(main())


def test_who_leaves_in_the_moment_of_asking_leaves_nothing_behind() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()
        for turns in range(4):
            work = Work()
            task = fly(flight, work)
            await settle(turns)
            await leave(task)
            assert len(work.given) == work.cancelled
            await assert_clean(flight)

    run(main())


@pytest.mark.parametrize("error", [LookupError("closed while working"), errors.DeadlineExceeded("late")])
def test_a_run_whose_waiters_left_may_fail_in_silence(error: Exception) -> None:
    async def main() -> None:
        flight = SingleFlight[str]()

        async def stubborn(_: float, __: Listener | None) -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise error from None
            return ""

        task = asyncio.create_task(flight.run("k", stubborn, Work().keep, deadline=time.monotonic() + LONG))
        await settle()
        await leave(task)
        await assert_clean(flight)

    run(main())


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_who_comes_while_a_run_is_being_cancelled_gets_an_answer(turns: int) -> None:
    """A page that is reloaded: its first request is cancelled, the same request follows at once."""

    async def main() -> None:
        flight = SingleFlight[str]()

        async def slow_to_leave(_: float, __: Listener | None) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                await settle(20)  # a connection is closed in here
            return ""

        leaver = asyncio.create_task(flight.run("k", slow_to_leave, Work().keep, deadline=time.monotonic() + LONG))
        await settle()
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        await settle(turns)
        newcomer = Work("new")
        waiting = await start(flight, newcomer)
        await settle(30)  # the old run ends, and takes nothing of the new one with it
        assert "k" in flight
        newcomer.go.set()
        assert await waiting == "new"
        await assert_clean(flight)

    run(main())


def test_a_run_that_is_cancelled_from_outside_hangs_nobody() -> None:
    async def main() -> None:
        flight = SingleFlight[str]()

        async def work(_: float, __: Listener | None) -> str:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await flight.run("k", work, Work().keep, deadline=time.monotonic() + 1)
        await assert_clean(flight)

    run(main())


# --- all of it together ----------------------------------------------------------------------------------------------


def test_a_storm_of_callers() -> None:
    """Random deadlines, failures and departures: each waiter that stays has the right result or is past its deadline, a
    key never runs twice at a time, work is begun anew for a deadline only, and nothing is left behind.
    """

    async def main() -> None:
        rng = random.Random(3)
        flight = SingleFlight[str]()
        running, ended = Counter[str](), Counter[str]()

        def work(key: str) -> Callable[[float, Listener | None], Awaitable[str]]:
            async def answer(until: float, _: Listener | None) -> str:
                running[key] += 1
                assert running[key] == 1, "the same key runs twice"
                try:
                    needed, left = rng.choice((0, 0.002, 0.03)), until - time.monotonic()
                    await asyncio.sleep(max(0.0, min(needed, left)))
                    if needed > left:
                        ended["late"] += 1
                        raise errors.DeadlineExceeded("late")
                    if rng.random() < 0.1:
                        ended["failed"] += 1
                        raise LookupError("lost")
                    ended["answered"] += 1
                    return key.upper()
                except asyncio.CancelledError:
                    ended["cancelled"] += 1
                    raise
                finally:
                    running[key] -= 1

            return answer

        async def keep(_: str) -> None:
            await asyncio.sleep(0.0005)

        async def come(number: int) -> str:
            await asyncio.sleep(number * 0.0003)
            key, deadline = rng.choice("abcdef"), time.monotonic() + rng.choice((0.004, 0.02, LONG, LONG))
            asked["joined" if key in flight else "began"] += 1
            try:
                async with asyncio.timeout(rng.choice((0.003, LONG, LONG))):
                    assert await flight.run(key, work(key), keep, deadline=deadline) == key.upper()
                    return "answered"
            except TimeoutError:
                return "left"
            except LookupError:
                return "failed"
            except errors.DeadlineExceeded:
                assert time.monotonic() >= deadline, "a stranger's deadline"
                return "late"

        asked = Counter[str]()
        outcomes = Counter(await asyncio.gather(*(come(number) for number in range(600))))
        assert set(outcomes) == {"answered", "left", "failed", "late"}
        assert min(outcomes.values()) > 5, outcomes
        assert asked["joined"] > asked["began"], asked
        await asyncio.sleep(0.01)
        assert ended["answered"] + ended["failed"] + ended["cancelled"] <= asked["began"]
        assert sum(ended.values()) <= asked["began"] + ended["late"]
        assert set(running.values()) == {0}
        await assert_clean(flight, *"abcdef")

    run(main())
