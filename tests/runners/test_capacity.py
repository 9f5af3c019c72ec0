"""Slots that processes share: never too many holders, first come first served, and the dead hold nothing."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import time
from pathlib import Path

import pytest

from runners.capacity import POLL_SECONDS, CapacityManager, Lease
from tests.runners.residents import Stamps, descriptors, holding
from tests.support.loops import run


@pytest.fixture
def stamps(tmp_path: Path) -> Stamps:
    return Stamps(tmp_path / "stamps")


def residency(stamps: Stamps, model: str = "blip", capacity: int = 1) -> CapacityManager:
    return CapacityManager(stamps.file.parent / "looksee", capacity, model)


async def taken(stamps: Stamps, model: str = "blip", capacity: int = 1) -> Lease:
    slot = await residency(stamps, model, capacity).acquire()
    assert slot is not None
    return slot


async def named(slot: Lease, seconds: float = 1.0) -> bool:
    """Whether the next in line asks for this slot within that time."""
    end = time.monotonic() + seconds
    while slot.wanted() is None and time.monotonic() < end:  # noqa: ASYNC110 (another process may ask)
        await asyncio.sleep(0.01)
    return slot.wanted() is not None


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_there_are_never_more_holders_than_slots(stamps: Stamps, capacity: int) -> None:
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(holding(stamps, f"m{number}", capacity=capacity, rounds=12, busy=0.01))
            for number in range(5)
        ]
        assert [process.wait(timeout=40) for process in processes] == [0] * 5
    assert stamps.most_at_once() == capacity
    assert {model: stamps.models("start").count(model) for model in stamps.models("start")} == {
        f"m{number}": 12 for number in range(5)
    }


def test_without_a_limit_nobody_waits(stamps: Stamps) -> None:
    async def main() -> None:
        slots = [await taken(stamps, f"m{number}", capacity=0) for number in range(6)]
        assert [holder.model for holder in residency(stamps).holders()] == [f"m{number}" for number in range(6)]
        assert all(slot.wanted() is None for slot in slots)
        for slot in slots:
            slot.release()
        assert residency(stamps).holders() == []

    run(main())


def test_waiters_are_served_in_the_order_they_came(stamps: Stamps) -> None:
    names = [f"m{number}" for number in (3, 1, 4, 0, 2)]

    async def main(stack: contextlib.ExitStack) -> None:
        slot = await taken(stamps)
        for name in names:
            stack.enter_context(holding(stamps, name, busy=0.02))
            await asyncio.to_thread(stamps.wait, "queued", name)
            await asyncio.sleep(4 * POLL_SECONDS)
        assert await named(slot)
        slot.release()
        await asyncio.to_thread(stamps.wait, "idle", names[-1])

    with contextlib.ExitStack() as stack:
        run(main(stack), seconds=40)
    assert stamps.models("start") == names


def test_the_least_recently_used_idle_holder_is_asked(stamps: Stamps) -> None:
    async def main() -> None:
        slots = {name: await taken(stamps, name, capacity=4) for name in ("a", "b", "c", "d")}
        for name in ("a", "d", "b"):  # and c, the least recently used one, is at work
            slots[name].note(busy=False)
        waiter = asyncio.create_task(taken(stamps, "e", capacity=4))
        assert await named(slots["a"])
        assert [name for name, slot in slots.items() if slot.wanted() is not None] == ["a"]
        slots["a"].note(busy=True)  # a call came in the meantime: now another one is asked
        assert await named(slots["d"])
        assert slots["a"].wanted() is None
        slots["d"].release()
        (await waiter).release()
        for name in "abc":
            slots[name].release()

    run(main())


def test_where_all_are_at_work_the_longest_holder_is_asked(stamps: Stamps) -> None:
    async def main() -> None:
        first, second = await taken(stamps, "a", capacity=2), await taken(stamps, "b", capacity=2)
        waiter = asyncio.create_task(taken(stamps, "c", capacity=2))
        assert await named(first)
        await asyncio.sleep(0.2)
        waited = first.wanted()
        assert waited is not None
        assert 0.2 <= waited < 2
        assert second.wanted() is None
        second.release()  # whoever goes, a slot is a slot
        (await waiter).release()
        assert first.wanted() is None
        first.release()

    run(main())


def test_a_killed_holder_holds_nothing(stamps: Stamps) -> None:
    async def main() -> None:
        with holding(stamps, "killed", busy=60) as process:
            await asyncio.to_thread(stamps.wait, "start", "killed")
            waiter = asyncio.create_task(taken(stamps))
            await asyncio.sleep(0.3)
            assert not waiter.done()
            (holder,) = residency(stamps).holders()
            assert (holder.model, holder.pid, holder.busy) == ("killed", process.pid, True)
            process.kill()
            async with asyncio.timeout(1):
                slot = await waiter
        assert [holder.model for holder in residency(stamps).holders()] == ["blip"]
        slot.release()

    run(main())


def test_a_killed_waiter_is_not_waited_for(stamps: Stamps) -> None:
    async def main() -> None:
        slot = await taken(stamps)
        with holding(stamps, "killed", busy=60) as process:
            await asyncio.to_thread(stamps.wait, "queued", "killed")
            assert await named(slot)
            process.kill()
            process.wait()
            assert slot.wanted() is None
        second = asyncio.create_task(taken(stamps, "second"))
        assert await named(slot)
        slot.release()
        async with asyncio.timeout(1):
            (await second).release()
        assert not list(stamps.file.parent.glob("looksee/*.ticket"))

    run(main())


def test_who_needs_no_slot_any_more_leaves_the_queue(stamps: Stamps) -> None:
    async def main() -> None:
        slot = await taken(stamps)
        wanted = [True]
        waiter = asyncio.create_task(residency(stamps, "other").acquire(lambda: wanted[0]))
        cancelled = asyncio.create_task(residency(stamps, "third").acquire())
        assert await named(slot)
        wanted[0] = False
        assert await waiter is None
        assert await named(slot)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert slot.wanted() is None
        assert not list(stamps.file.parent.glob("looksee/*.ticket"))
        slot.release()

    run(main())


def test_a_ticket_that_was_cleared_away_is_drawn_again(stamps: Stamps) -> None:
    async def main() -> None:
        slot = await taken(stamps)
        waiter = asyncio.create_task(taken(stamps, "other"))
        assert await named(slot)
        (ticket,) = stamps.file.parent.glob("looksee/*.ticket")
        ticket.unlink()
        assert await named(slot)
        slot.release()
        (await waiter).release()

    run(main())


def test_no_descriptor_is_left_open(stamps: Stamps) -> None:
    async def main() -> None:
        before = descriptors()
        for _ in range(20):
            slot = await taken(stamps)
            waiter = asyncio.create_task(residency(stamps, "other").acquire())
            assert await named(slot)
            residency(stamps).holders()
            waiter.cancel()
            await asyncio.wait((waiter,))
            slot.release()
        assert descriptors() == before

    run(main())


def test_the_folder_is_nobody_elses_business(stamps: Stamps) -> None:
    folder = residency(stamps).directory
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
