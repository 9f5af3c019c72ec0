"""Leases that processes share: never too many holders, in the order of requests, and a dead process holds none."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import stat
import time
from pathlib import Path

import pytest

from runners.capacity import POLL_SECONDS, CapacityManager, Lease
from tests.runners.lease_processes import Stamps, descriptors, holding
from tests.support.loops import run


@pytest.fixture
def stamps(tmp_path: Path) -> Stamps:
    return Stamps(tmp_path / "stamps")


def manager(stamps: Stamps, model: str = "blip", capacity: int = 1) -> CapacityManager:
    return CapacityManager(stamps.file.parent / "looksee", capacity, model)


async def taken(stamps: Stamps, model: str = "blip", capacity: int = 1) -> Lease:
    lease = await manager(stamps, model, capacity).acquire()
    assert lease is not None
    return lease


async def requested(lease: Lease, seconds: float = 1.0) -> bool:
    """Whether the next in the queue requests this lease within that time."""
    end = time.monotonic() + seconds
    while lease.seconds_requested() is None and time.monotonic() < end:  # noqa: ASYNC110 (another process may request it)
        await asyncio.sleep(0.01)
    return lease.seconds_requested() is not None


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_there_are_never_more_holders_than_leases(stamps: Stamps, capacity: int) -> None:
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(holding(stamps, f"m{number}", capacity=capacity, rounds=5, busy=0.01))
            for number in range(5)
        ]
        assert [process.wait(timeout=40) for process in processes] == [0] * 5
    assert stamps.most_at_once() == capacity
    assert {model: stamps.models("start").count(model) for model in stamps.models("start")} == {
        f"m{number}": 5 for number in range(5)
    }


def test_without_a_limit_no_request_waits(stamps: Stamps) -> None:
    async def main() -> None:
        leases = [await taken(stamps, f"m{number}", capacity=0) for number in range(6)]
        assert [holder.model for holder in manager(stamps).holders()] == [f"m{number}" for number in range(6)]
        assert all(lease.seconds_requested() is None for lease in leases)
        for lease in leases:
            lease.release()
        assert manager(stamps).holders() == []

    run(main())


def test_requests_are_served_in_their_order(stamps: Stamps) -> None:
    names = [f"m{number}" for number in (3, 1, 4, 0, 2)]

    async def main(stack: contextlib.ExitStack) -> None:
        lease = await taken(stamps)
        for name in names:
            stack.enter_context(holding(stamps, name, busy=0.02))
            await asyncio.to_thread(stamps.wait, "queued", name)
            await asyncio.sleep(4 * POLL_SECONDS)
        assert await requested(lease)
        lease.release()
        await asyncio.to_thread(stamps.wait, "idle", names[-1])

    with contextlib.ExitStack() as stack:
        run(main(stack), seconds=40)
    assert stamps.models("start") == names


def test_the_least_recently_used_idle_holder_is_asked(stamps: Stamps) -> None:
    async def main() -> None:
        leases = {name: await taken(stamps, name, capacity=4) for name in ("a", "b", "c", "d")}
        for name in ("a", "d", "b"):  # and c, the least recently used one, is busy
            leases[name].mark(busy=False)
        waiter = asyncio.create_task(taken(stamps, "e", capacity=4))
        assert await requested(leases["a"])
        assert [name for name, lease in leases.items() if lease.seconds_requested() is not None] == ["a"]
        leases["a"].mark(busy=True)  # it is busy again: now another one is asked
        assert await requested(leases["d"])
        assert leases["a"].seconds_requested() is None
        leases["d"].release()
        (await waiter).release()
        for name in "abc":
            leases[name].release()

    run(main())


def test_where_all_are_busy_the_longest_holder_is_asked(stamps: Stamps) -> None:
    async def main() -> None:
        first, second = await taken(stamps, "a", capacity=2), await taken(stamps, "b", capacity=2)
        waiter = asyncio.create_task(taken(stamps, "c", capacity=2))
        assert await requested(first)
        await asyncio.sleep(0.2)
        waited = first.seconds_requested()
        assert waited is not None
        assert 0.2 <= waited < 2
        assert second.seconds_requested() is None
        second.release()  # the request is for any lease
        (await waiter).release()
        assert first.seconds_requested() is None
        first.release()

    run(main())


def test_a_killed_holder_holds_no_lease(stamps: Stamps) -> None:
    async def main() -> None:
        with holding(stamps, "killed", busy=60) as process:
            await asyncio.to_thread(stamps.wait, "start", "killed")
            waiter = asyncio.create_task(taken(stamps))
            await asyncio.sleep(0.3)
            assert not waiter.done()
            (holder,) = manager(stamps).holders()
            assert (holder.model, holder.pid, holder.busy) == ("killed", process.pid, True)
            process.kill()
            async with asyncio.timeout(1):
                lease = await waiter
        assert [holder.model for holder in manager(stamps).holders()] == ["blip"]
        lease.release()

    run(main())


def test_a_killed_waiter_is_not_waited_for(stamps: Stamps) -> None:
    async def main() -> None:
        lease = await taken(stamps)
        with holding(stamps, "killed", busy=60) as process:
            await asyncio.to_thread(stamps.wait, "queued", "killed")
            assert await requested(lease)
            process.kill()
            process.wait()
            assert lease.seconds_requested() is None
        second = asyncio.create_task(taken(stamps, "second"))
        assert await requested(lease)
        lease.release()
        async with asyncio.timeout(1):
            (await second).release()
        assert not list(stamps.file.parent.glob("looksee/*.ticket"))

    run(main())


def test_a_request_that_is_not_needed_any_more_leaves_the_queue(stamps: Stamps) -> None:
    async def main() -> None:
        lease = await taken(stamps)
        needed = [True]
        waiter = asyncio.create_task(manager(stamps, "other").acquire(lambda: needed[0]))
        cancelled = asyncio.create_task(manager(stamps, "third").acquire())
        assert await requested(lease)
        needed[0] = False
        assert await waiter is None
        assert await requested(lease)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert lease.seconds_requested() is None
        assert not list(stamps.file.parent.glob("looksee/*.ticket"))
        lease.release()

    run(main())


def test_a_removed_ticket_is_replaced(stamps: Stamps) -> None:
    async def main() -> None:
        lease = await taken(stamps)
        waiter = asyncio.create_task(taken(stamps, "other"))
        assert await requested(lease)
        (ticket,) = stamps.file.parent.glob("looksee/*.ticket")
        ticket.unlink()
        assert await requested(lease)
        lease.release()
        (await waiter).release()

    run(main())


def test_a_request_whose_folder_was_removed_fails_and_closes_its_ticket_once(stamps: Stamps) -> None:
    """A second close of the same descriptor would raise EBADF, or close a file that another thread has opened."""

    async def main() -> None:
        lease = await taken(stamps)
        before = descriptors()
        waiter = asyncio.create_task(taken(stamps, "other"))
        assert await requested(lease)
        shutil.rmtree(stamps.file.parent / "looksee")
        with pytest.raises(FileNotFoundError):
            await waiter
        assert descriptors() == before
        lease.release()

    run(main())


def test_no_descriptor_is_left_open(stamps: Stamps) -> None:
    async def main() -> None:
        before = descriptors()
        for _ in range(20):
            lease = await taken(stamps)
            waiter = asyncio.create_task(manager(stamps, "other").acquire())
            assert await requested(lease)
            manager(stamps).holders()
            waiter.cancel()
            await asyncio.wait((waiter,))
            lease.release()
        assert descriptors() == before

    run(main())


def test_only_the_owner_may_read_the_folder(stamps: Stamps) -> None:
    folder = manager(stamps).directory
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_lease_is_released_once(stamps: Stamps) -> None:
    """By the end of its process and by the runner. A descriptor that is closed twice may be another file's by then."""

    async def main() -> None:
        lease = await taken(stamps)
        lease.release()
        other = (stamps.file.parent / "another file").open("w")
        lease.release()
        lease.mark(busy=True)
        other.write("its own")
        other.close()
        (await taken(stamps)).release()

    run(main())
    assert (stamps.file.parent / "another file").read_text() == "its own"
