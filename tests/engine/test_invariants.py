"""The engine's invariants under random failures, shortage of memory, cancelled callers and streams.

The numbers are those in the docstring of `looksee.engine.engine`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from looksee.core.tasks import Reply
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.engine.observer import EngineObserver
from tests.engine.toy import OutOfMemoryError, ToyBatch, ToyModel, ToyRow, job

LIMITS = EngineLimits(queue=200, rows=6, cost=60, prefill=3, memory=100)


class UnreliableModel(ToyModel):
    """Verbs raise at random; `sampled` counts the tokens of each word, `stepped_finished` finished rows in a step.

    Memory runs out for a single row and in a repair too, but not twice in a row; other failures are of several rows.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.sampled: Counter[str] = Counter()
        self.stepped_finished = 0
        self.repairing = False
        self.since_shortage = 0

    def prefill(self, rows: Sequence[ToyRow]) -> ToyBatch:
        self._raise_sometimes(len(rows))
        return super().prefill(rows)

    def add_rows(self, running: ToyBatch, newcomers: ToyBatch) -> ToyBatch:
        self._raise_sometimes(len(running.rows) + len(newcomers.rows))
        return super().add_rows(running, newcomers)

    def keep_rows(self, batch: ToyBatch, keep: Sequence[int]) -> ToyBatch:
        self._raise_sometimes(len(batch.rows))
        return super().keep_rows(batch, keep)

    def step(self, batch: ToyBatch) -> None:
        self.stepped_finished += sum(row.finish is not None for row in batch.rows)
        self.repairing = self.repairing and len(batch.rows) == 1
        self._raise_sometimes(len(batch.rows))
        super().step(batch)

    def sample(self, batch: ToyBatch) -> None:
        self._raise_sometimes(len(batch.rows))
        super().sample(batch)
        self.sampled.update(row.word for row in batch.rows)
        self._raise_sometimes(len(batch.rows))

    def _raise_sometimes(self, rows: int) -> None:
        """An error never for a single row, nor while failed rows are computed alone: that would be the row's own.

        Memory runs out at any time, but not before a row that is retried has made a step.
        """
        chance = self.random.random()
        self.since_shortage += 1
        if chance < 0.02 and self.since_shortage > 5:
            self.since_shortage = 0
            raise OutOfMemoryError("out of memory")
        if rows > 1 and chance > 0.985 and not self.repairing:
            self.repairing = True
            raise RuntimeError("random")


class CheckingObserver(EngineObserver):
    """Checks the running batch at the end of each tick, on the device thread."""

    def __init__(self) -> None:
        self.engine: Engine[ToyRow, ToyBatch]
        self.violations: list[str] = []
        self.admitted: list[int] = []
        self.shortages = 0

    def waiting_rows(self, count: int) -> None:
        self.admitted.append(count)

    def out_of_memory(self) -> None:
        self.shortages += 1

    def running_rows(self, count: int) -> None:
        batch = self.engine._running
        order = [] if batch._batch is None else batch._batch.rows
        if [id(row.model_row) for row in batch.rows] != [id(row) for row in order]:
            self.violations.append("I1: the rows are in another order than the model's")
        if count > LIMITS.rows or (count > 1 and batch.held(batch.rows) > batch.budget.limit):
            self.violations.append(f"I8: {count} rows hold {batch.held(batch.rows)}")
        if count > 1 and sum(row.cost for row in batch.rows) > LIMITS.cost:
            self.violations.append(f"I8: {count} rows cost too much")


@pytest.mark.parametrize("seed", range(5))
def test_the_invariants_hold_whatever_fails(seed: int) -> None:
    """I1, I2, I3, I4, I6, I7, I8, I10, I11."""
    model, observer = UnreliableModel(seed), CheckingObserver()
    engine = observer.engine = Engine(model, LIMITS, observer=observer)
    rng = random.Random(seed)
    words = [f"{number}:{'x' * rng.randint(1, 20)}" for number in range(120)]

    async def ask(word: str) -> tuple[str, Reply | None, list[str]]:
        pieces: list[str] = []
        await asyncio.sleep(rng.random() * 0.1)
        asked = engine.submit(job(word), timeout=20, listener=pieces.append if rng.random() < 0.5 else None)
        if rng.random() < 0.2:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked, rng.random() * 0.02)
            return word, None, []
        reply = await asked
        received = list(pieces)
        await asyncio.sleep(0)
        assert pieces == received, "I7: a piece after the reply"
        return word, reply, pieces

    async def main() -> None:
        results = await asyncio.wait_for(asyncio.gather(*map(ask, words)), 30)
        for word, reply, pieces in results:
            if reply is not None:
                assert reply.answer is not None, f"I4: {reply.failure} for {word}"
                assert reply.answer.text == word
                assert "".join(pieces) in ("", word), "I7"
                assert model.sampled[word] == len(word), "I10: a token was lost or computed twice"

    try:
        asyncio.run(main())
        for _ in range(200):
            if not engine.busy:
                break
            threading.Event().wait(0.01)
        assert not engine.busy
    finally:
        engine.close()
    assert observer.shortages, "memory did run out"
    assert observer.violations == []
    assert observer.admitted[-1] == engine._queue.admitted == 0  # I6
    assert min(observer.admitted) >= 0
    assert model.threads == {"device"}  # I2
    assert model.stepped_finished == 0  # I11


def test_rows_that_are_prepared_or_wait_are_counted() -> None:
    """I6."""
    preparing, stepping = threading.Event(), threading.Event()

    class HeldModel(ToyModel):
        def prepare(self, job: object) -> ToyRow:
            preparing.wait(10)
            return super().prepare(job)  # type: ignore[arg-type]

    def hold(words: list[str]) -> None:
        stepping.wait(10)

    engine = Engine(HeldModel(on_step=hold), EngineLimits(queue=9, rows=1, cost=99))

    async def main() -> None:
        calls = [asyncio.create_task(engine.submit(job("ab"), timeout=10)) for _ in range(5)]
        await asyncio.sleep(0.05)
        assert (engine._queue.admitted, len(engine._queue.waiting)) == (5, 0)  # all are being prepared
        preparing.set()
        await asyncio.sleep(0.1)
        assert engine._queue.admitted == len(engine._queue.waiting) == 4  # one runs
        stepping.set()
        assert all(reply.answer for reply in await asyncio.gather(*calls))
        assert engine._queue.admitted == 0

    try:
        asyncio.run(main())
    finally:
        engine.close()


def test_rows_are_taken_in_their_order_and_requeued_ones_first() -> None:
    """I9."""
    words = [f"w{number:02}" for number in range(20)]
    prefilled: list[str] = []
    shortage = iter([True])

    def on_prefill(batch: list[str]) -> None:
        prefilled.extend(batch)

    def on_step(batch: list[str]) -> None:
        if len(batch) == 4 and next(shortage, False):
            prefilled.append("|")
            raise OutOfMemoryError("out of memory")

    engine = Engine(
        ToyModel(delay=0.002, on_prefill=on_prefill, on_step=on_step),
        EngineLimits(queue=99, rows=4, cost=12, prefill=2),
        prepare_threads=1,
    )

    async def main() -> None:
        await asyncio.gather(*(engine.submit(job(word), timeout=10) for word in words))

    try:
        asyncio.run(main())
    finally:
        engine.close()
    first_time = list(dict.fromkeys(word for word in prefilled if word != "|"))
    assert first_time == words
    before, after = ("".join(group) for group in _split(prefilled))
    running = [word for word in words if word in before and word in after]
    assert len(running) == 4
    assert after.startswith("".join(running))


def _split(prefilled: list[str]) -> tuple[list[str], list[str]]:
    at = prefilled.index("|")
    return prefilled[:at], list(itertools.islice(prefilled, at + 1, None))
