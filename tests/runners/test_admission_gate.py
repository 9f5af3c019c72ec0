"""Calls are admitted while the gate is open and wait while it is closed; each is counted until it leaves."""

from __future__ import annotations

import asyncio

import pytest

from looksee.core import errors
from looksee.core.tasks import Failure
from runners.admission_gate import AdmissionGate
from tests.support.loops import run, settle

FAILURE = Failure("weights_unavailable", "No weights.", retry_after=7)


def observed_gate() -> tuple[AdmissionGate[str], list[tuple[int, int]]]:
    """A gate, and its (active, waiting) at each change."""
    changes: list[tuple[int, int]] = []
    made: AdmissionGate[str] = AdmissionGate(lambda: changes.append((made.active, made.waiting)))
    return made, changes


def test_an_open_gate_admits_at_once() -> None:
    async def main() -> None:
        gate, changes = observed_gate()
        gate.open("model")
        assert [await gate.enter(0) for _ in range(3)] == ["model"] * 3
        assert gate.active == 3
        for _ in range(3):
            gate.leave()
        assert changes == [(1, 0), (0, 0)]

    run(main())


def test_a_closed_gate_admits_no_call_until_it_opens() -> None:
    async def main() -> None:
        gate, changes = observed_gate()
        calls = [asyncio.create_task(gate.enter(5)) for _ in range(3)]
        await settle()
        assert (gate.active, gate.waiting) == (0, 3)
        gate.open("model")
        assert (gate.active, gate.waiting) == (3, 0)  # at once, not when they wake up
        assert await asyncio.gather(*calls) == ["model"] * 3
        gate.close()
        late = asyncio.create_task(gate.enter(5))
        await settle()
        assert (gate.active, gate.waiting, late.done()) == (3, 1, False)
        late.cancel()
        await settle()
        assert gate.waiting == 0
        assert changes[0] == (0, 1)

    run(main())


def test_waiting_times_out() -> None:
    async def main() -> None:
        gate, _ = observed_gate()
        with pytest.raises(TimeoutError):
            await gate.enter(0.02)
        gate.open("model")
        assert (gate.active, gate.waiting) == (0, 0)

    run(main())


def test_rejected_calls_get_the_failure() -> None:
    async def main() -> None:
        gate, _ = observed_gate()
        calls = [asyncio.create_task(gate.enter(5)) for _ in range(2)]
        await settle()
        gate.reject(FAILURE)
        for call in calls:
            with pytest.raises(errors.WeightsUnavailable) as caught:
                await call
            assert caught.value.retry_after == 7
        assert (gate.active, gate.waiting) == (0, 0)

    run(main())


@pytest.mark.parametrize("rejected", [False, True])
def test_a_call_cancelled_in_the_moment_of_its_admission_is_not_active(rejected: bool) -> None:
    async def main() -> None:
        gate, _ = observed_gate()
        call = asyncio.create_task(gate.enter(5))
        await settle()
        if rejected:
            gate.reject(FAILURE)
        else:
            gate.open("model")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (gate.active, gate.waiting) == (0, 0)

    run(main())
