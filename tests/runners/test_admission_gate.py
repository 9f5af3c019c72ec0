"""Calls go in while it is open and wait while it is shut; whoever is let in is counted, whatever happens to him."""

from __future__ import annotations

import asyncio

import pytest

from looksee.core import errors
from looksee.core.tasks import Failure
from runners.admission_gate import AdmissionGate
from tests.support.loops import run, settle

FAILURE = Failure("weights_unavailable", "No weights.", retry_after=7)


def turnstile() -> tuple[AdmissionGate[str], list[tuple[int, int]]]:
    """One, and what it said: (inside, waiting) at each change."""
    changes: list[tuple[int, int]] = []
    made: AdmissionGate[str] = AdmissionGate(lambda: changes.append((made.inside, made.waiting)))
    return made, changes


def test_open_it_lets_in_at_once() -> None:
    async def main() -> None:
        gate, changes = turnstile()
        gate.open("model")
        assert [await gate.enter(0) for _ in range(3)] == ["model"] * 3
        assert gate.inside == 3
        for _ in range(3):
            gate.leave()
        assert changes == [(1, 0), (0, 0)]

    run(main())


def test_shut_it_lets_nobody_in_until_it_opens() -> None:
    async def main() -> None:
        gate, changes = turnstile()
        calls = [asyncio.create_task(gate.enter(5)) for _ in range(3)]
        await settle()
        assert (gate.inside, gate.waiting) == (0, 3)
        gate.open("model")
        assert (gate.inside, gate.waiting) == (3, 0)  # at once, not when they wake up
        assert await asyncio.gather(*calls) == ["model"] * 3
        gate.shut()
        late = asyncio.create_task(gate.enter(5))
        await settle()
        assert (gate.inside, gate.waiting, late.done()) == (3, 1, False)
        late.cancel()
        await settle()
        assert gate.waiting == 0
        assert changes[0] == (0, 1)

    run(main())


def test_patience_ends() -> None:
    async def main() -> None:
        gate, _ = turnstile()
        with pytest.raises(TimeoutError):
            await gate.enter(0.02)
        gate.open("model")
        assert (gate.inside, gate.waiting) == (0, 0)

    run(main())


def test_the_refused_hear_why() -> None:
    async def main() -> None:
        gate, _ = turnstile()
        calls = [asyncio.create_task(gate.enter(5)) for _ in range(2)]
        await settle()
        gate.refuse(FAILURE)
        for call in calls:
            with pytest.raises(errors.WeightsUnavailable) as caught:
                await call
            assert caught.value.retry_after == 7
        assert (gate.inside, gate.waiting) == (0, 0)

    run(main())


@pytest.mark.parametrize("refused", [False, True])
def test_a_call_cancelled_in_the_moment_of_its_answer_is_not_inside(refused: bool) -> None:
    async def main() -> None:
        gate, _ = turnstile()
        call = asyncio.create_task(gate.enter(5))
        await settle()
        if refused:
            gate.refuse(FAILURE)
        else:
            gate.open("model")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (gate.inside, gate.waiting) == (0, 0)

    run(main())
