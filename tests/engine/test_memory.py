"""The engine on a device with a limit: every verb may find no memory, and no row is lost by that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import cast
from unittest.mock import Mock, call

import pytest

from looksee.core import errors
from looksee.core.tasks import Failure, Reply
from looksee.engine.batch import RunningBatch
from looksee.engine.budget import BatchBudget
from looksee.engine.engine import Engine
from looksee.engine.limits import UNBOUNDED, EngineLimits
from looksee.engine.observer import EngineObserver
from looksee.engine.row import ScheduledRow
from tests.engine.device import SHAPE, DeviceModel, LimitedDevice
from tests.engine.toy import OutOfMemoryError, ToyBatch, ToyModel, ToyRow, job

ROWS = 16
VERBS = ["prefill", "add_rows", "step", "sample", "keep_rows"]


def words(seed: int, count: int = 50, longest: int = 24) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefgh", k=rng.randint(1, longest))) for _ in range(count)]


def ask(
    model: DeviceModel, texts: list[str], *, memory: int = UNBOUNDED, prefill: int = 3, within: float = 0.05
) -> list[Reply]:
    """The replies to jobs that come at random times `within` so many seconds."""
    limits = EngineLimits(queue=200, rows=ROWS, cost=ROWS, prefill=prefill, memory=memory)
    engine = Engine(model, limits, observer=EngineObserver())
    rng = random.Random(len(texts))

    async def one(text: str) -> Reply:
        await asyncio.sleep(rng.random() * within)
        return await engine.submit(job(text), timeout=30)

    async def all_of_them() -> list[Reply]:
        return await asyncio.wait_for(asyncio.gather(*map(one, texts)), 60)

    try:
        return asyncio.run(all_of_them())
    finally:
        engine.close()


def spelled(replies: list[Reply]) -> list[str | Failure | None]:
    return [reply.failure if reply.answer is None else reply.answer.text for reply in replies]


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_within_its_budget_never_holds_more(seed: int, static: bool) -> None:
    """More is needed only while storage is reallocated, one layer, and what a verb needs while it runs."""
    device = LimitedDevice(UNBOUNDED)
    model = DeviceModel(device, seed=seed, failing=0.02, static=static)
    budget = model.held_bytes(8, 24) if static else model.held_bytes(4, 24)
    # Many short rows, then long ones: the rectangle around both is larger than the budget.
    texts = [*words(seed, 30, 4), *words(seed + 1, 30)]
    assert spelled(ask(model, texts, memory=budget)) == texts
    assert model.shortages.total() == 0
    assert device.peak <= budget * (1 + 1 / SHAPE.layers)
    assert max(model.steps) > 1


@pytest.mark.parametrize("verb", VERBS)
def test_memory_that_runs_out_in_any_verb_costs_no_row(verb: str) -> None:
    """Here it is that verb that needs most, and nobody said how much there is."""
    model = DeviceModel(LimitedDevice(0))
    one = model.held_bytes(1, 24)
    model.workspaces[verb] = one
    model.limited.limit = 6 * one  # so three rows at a time
    texts = words(1)
    assert spelled(ask(model, texts)) == texts
    assert model.shortages[verb] > 0
    assert model.attempts < 4 * len(texts), "rows are computed again and again"
    assert sum(rows > 1 for rows in model.steps) > 10, "rows still share steps"


@pytest.mark.parametrize("seed", range(6))
def test_no_row_is_lost_whatever_else_fails(seed: int) -> None:
    """Repairs of failed verbs find no memory either."""
    model = DeviceModel(LimitedDevice(0), seed=seed, failing=0.05)
    rng = random.Random(seed)
    one = model.held_bytes(1, 24)
    model.workspaces.update({verb: rng.randint(0, one) for verb in VERBS})
    model.limited.limit = int((3 + 3 * rng.random()) * one)
    texts = words(seed)
    assert spelled(ask(model, texts)) == texts
    assert model.shortages.total() > 0
    assert model.attempts < 8 * len(texts)
    assert model.limited.peak <= model.limited.limit


def test_a_row_that_does_not_fit_alone_is_told_so_and_the_others_are_answered() -> None:
    model = DeviceModel(LimitedDevice(0))
    model.limited.limit = model.held_bytes(4, 24)
    texts = words(2)
    replies = ask(model, [*texts[:20], "x" * 200, *texts[20:]])
    failure = replies.pop(20).failure
    assert failure is not None
    assert failure.code == "out_of_memory"
    assert spelled(replies) == texts
    assert model.attempts < 4 * len(texts)


def test_a_row_larger_than_any_batch_may_be_is_refused_before_it_runs() -> None:
    model = DeviceModel(LimitedDevice(UNBOUNDED))
    replies = ask(model, ["abc", "x" * 25, "x" * 24], memory=model.held_bytes(1, 24))
    assert spelled(replies)[::2] == ["abc", "x" * 24]
    failure = replies[1].failure
    assert failure is not None
    assert (failure.code, failure.param) == ("prompt_too_long", "prompt")
    assert "LOOKSEE_<MODEL>_MAX_BATCH_BYTES" in failure.message
    assert model.attempts == 2


def test_all_memory_is_free_again_when_the_rows_are_gone() -> None:
    model = DeviceModel(LimitedDevice(0), failing=0.05)
    model.limited.limit = model.held_bytes(3, 24)
    ask(model, words(3))
    model.release_memory()
    assert model.limited.used == 0


# -- repairs of a failed batch, one verb after another


def running(model: ToyModel, texts: list[str], *, budget: BatchBudget | None = None) -> RunningBatch[ToyRow, ToyBatch]:
    """A batch of these rows, prefilled together. Its `failed` has the rows that ended with an error."""
    batch: RunningBatch[ToyRow, ToyBatch] = RunningBatch(
        model, budget or BatchBudget(1000), 1000, EngineObserver(), Mock()
    )
    rows: list[ScheduledRow[ToyRow]] = [
        ScheduledRow(reply=Mock(), listener=None, deadline=1e9, submitted=0, prepared=model.prepare(job(text)))
        for text in texts
    ]
    batch.admit(rows)
    return batch


def named(rows: list[ScheduledRow[ToyRow]]) -> list[str]:
    return [row.model_row.word for row in rows]


class Scripted(ToyModel):
    """Raises what `errors` has for the next call of a verb; None is a call that works."""

    def __init__(self, **script: list[Exception | None]) -> None:
        super().__init__()
        self.script = script
        self.on_prefill = self.on_step = lambda words: None

    def next(self, verb: str) -> None:
        if self.script.get(verb) and (error := self.script[verb].pop(0)):
            raise error

    def prefill(self, rows: Sequence[ToyRow]) -> ToyBatch:
        self.next("prefill")
        return super().prefill(rows)

    def add_rows(self, running: ToyBatch, newcomers: ToyBatch) -> ToyBatch:
        self.next("add_rows")
        return super().add_rows(running, newcomers)

    def step(self, batch: ToyBatch) -> None:
        self.next("step")
        super().step(batch)

    def sample(self, batch: ToyBatch) -> None:
        super().sample(batch)
        self.next("sample")

    def release_memory(self) -> None:
        super().release_memory()
        self.next("release_memory")


OOM, FAULT = OutOfMemoryError("out of memory"), RuntimeError("a fault")
TEXTS = ["abc", "defg", "hijkl", "mnopqr"]


@pytest.mark.parametrize(
    ("script", "going_on", "requeued"),
    [
        ({"prefill": [None, None, OOM]}, ["abc"], ["defg", "hijkl", "mnopqr"]),
        ({"step": [FAULT, None, None, OOM]}, ["abc", "defg"], ["hijkl", "mnopqr"]),
        ({"sample": [OOM]}, [], TEXTS),
        ({"add_rows": [OOM]}, [], TEXTS),
        ({"add_rows": [None, OOM]}, [], TEXTS),
        ({"add_rows": [FAULT]}, ["hijkl", "mnopqr"], ["abc", "defg"]),
        ({"step": [OOM], "release_memory": [FAULT]}, [], TEXTS),
    ],
)
def test_a_shortage_in_a_repair_puts_rows_back(
    script: dict[str, list[Exception | None]], going_on: list[str], requeued: list[str]
) -> None:
    """The rows that were repaired before it run on, as far as their batch is whole."""
    model = Scripted(**{"step": [FAULT], **script} if "sample" not in script else script)
    batch = running(model, TEXTS)
    batch.step()
    assert named(batch.rows) == going_on
    assert named(batch.take_requeued()) == requeued
    assert cast("Mock", batch._fail).mock_calls == []
    assert model.script.get("release_memory", []) == []
    for _ in range(6):  # and those that run on are right
        if batch.rows:
            batch.step()
            assert all(row.model_row.finish == "stop" for row in batch.pop_finished())


def test_a_row_whose_joins_fail_again_and_again_gets_the_error() -> None:
    model = Scripted(step=[FAULT], add_rows=[FAULT, FAULT])
    batch = running(model, ["abcdef", "ghijkl"])
    batch.step()
    assert batch.rows == []
    rows = batch.take_requeued()
    assert named(rows) == ["abcdef", "ghijkl"]
    model.script["step"] = [FAULT]
    batch.admit(rows)
    batch.step()
    assert cast("Mock", batch._fail).mock_calls == [call(rows[1], FAULT)]
    assert named(batch.take_requeued()) == ["abcdef"]


def test_rows_that_ended_before_a_shortage_are_not_computed_again() -> None:
    """I11."""
    batch = running(Scripted(sample=[OOM]), ["a", "bcd"])
    batch.step()
    assert named(batch.take_requeued()) == ["bcd"]
    assert named(batch.pop_finished()) == ["a"]


def test_a_row_alone_is_tried_again_once_what_is_kept_is_released() -> None:
    model = Scripted(prefill=[OOM, None, OOM, OOM])
    batch = running(model, ["abc"])
    (row,) = batch.take_requeued()
    assert model.releases == 1
    batch.admit([row])
    batch.step()
    assert named(batch.rows) == ["abc"]
    batch.clear()
    batch.admit([row])  # it has made a step meanwhile: nothing is known of the next shortage
    assert batch.take_requeued() == [row]
    batch.admit([row])
    assert batch.take_requeued() == []
    assert [type(error) for _, (_, error), _ in cast("Mock", batch._fail).mock_calls] == [errors.OutOfMemory]


def test_a_shortage_beside_running_rows_leaves_them_their_memory() -> None:
    """New rows wait until running ones have left; the same ones are not taken again at once."""
    model = Scripted(prefill=[None, OOM])
    batch = running(model, ["abcd", "efgh"], budget=BatchBudget(1000))
    new = [ScheduledRow(Mock(), None, 1e9, 0, prepared=model.prepare(job(text))) for text in ("ijkl", "mnop")]
    batch.admit(new)
    assert batch.take_requeued() == new
    assert batch.budget.current == batch.held(batch.rows) == 8
    assert model.budgets[-1] == 8
    assert not batch.fits(new[:1])


@pytest.mark.parametrize("seconds", [9.0, 10.0])
def test_a_lowered_budget_rises_after_seconds_of_running(seconds: float) -> None:
    now = 100.0
    budget = BatchBudget(1000, lambda: now)
    budget.lower(400)
    assert budget.current == 400
    budget.lower(900)  # a lower value never raises it
    assert budget.current == 399
    now += seconds
    assert budget.recover() is (seconds == 10.0)
    assert budget.current == (498 if seconds == 10.0 else 399)
    assert not budget.recover()  # once in that time


@pytest.mark.parametrize("limit", [1, 64, 10**10])
def test_a_budget_is_back_within_minutes_from_nothing(limit: int) -> None:
    now = 0.0
    budget = BatchBudget(limit, lambda: now)
    budget.lower(0)
    assert budget.current == 1
    while budget.current < limit:
        now += 1
        budget.recover()
    assert now <= 150
    assert not budget.recover()
