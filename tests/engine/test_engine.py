"""The engine with a toy model: batching, admission, isolation of failures, cancelling. I1 ... as in the engine."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from looksee.core.tasks import Job, Reply
from looksee.engine.batch import RunningBatch
from looksee.engine.budget import BatchBudget
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.engine.observer import EngineObserver
from looksee.engine.row import ScheduledRow
from looksee.models.interface import not_finite
from tests.engine.toy import OutOfMemoryError, ToyBatch, ToyModel, ToyRow, job
from tests.support.loops import until

LIMITS = EngineLimits(queue=100, rows=8, cost=1000)
WORDS = [
    "".join(random.Random(number).choices("abcdefgh", k=random.Random(number).randint(1, 20))) for number in range(60)
]


class CountingObserver(EngineObserver):
    """Counts events; `batches` has the rows of each step."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.batches: list[int] = []

    def step_finished(self, rows: int) -> None:
        self.batches.append(rows)

    def first_token(self, seconds: float) -> None:
        self.events["first_token"] += 1

    def row_dropped(self, reason: str) -> None:
        self.events[reason] += 1

    def out_of_memory(self) -> None:
        self.events["memory"] += 1


def drive(
    model: ToyModel,
    scenario: Callable[[Engine[ToyRow, ToyBatch]], Awaitable[None]],
    limits: EngineLimits = LIMITS,
    observer: EngineObserver | None = None,
) -> None:
    engine = Engine(model, limits, observer=observer)
    try:
        asyncio.run(asyncio.wait_for(_run(scenario, engine), timeout=30))
    finally:
        engine.close()


async def _run(
    scenario: Callable[[Engine[ToyRow, ToyBatch]], Awaitable[None]], engine: Engine[ToyRow, ToyBatch]
) -> None:
    await scenario(engine)


async def _all(engine: Engine[ToyRow, ToyBatch], words: list[str], timeout: float = 10) -> list[Reply]:
    return await asyncio.gather(*(engine.submit(job(word), timeout=timeout) for word in words))


def _wait(gate: threading.Event, entered: threading.Event | None = None) -> None:
    if entered is not None:
        entered.set()
    gate.wait(10)


def text(answer: Reply) -> str:
    assert answer.answer is not None, answer.failure
    return answer.answer.text


def code(answer: Reply) -> str:
    assert answer.failure is not None
    return answer.failure.code


def test_every_row_is_answered_with_its_own_word_whatever_shares_the_batch() -> None:
    """I1, I2: a batch out of order would misspell, and every verb runs on the device thread."""

    model = ToyModel(delay=0.0005)

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        async def late(word: str, seconds: float) -> Reply:
            await asyncio.sleep(seconds)
            return await engine.submit(job(word), timeout=10)

        rng = random.Random(1)
        answers = await asyncio.gather(*(late(word, rng.random() * 0.05) for word in WORDS))
        assert [text(answer) for answer in answers] == WORDS

    drive(model, scenario)
    assert max(model.steps) == LIMITS.rows
    assert model.threads == {"device"}


def test_rows_join_a_running_batch_and_leave_it_as_soon_as_they_finish() -> None:
    model = ToyModel(delay=0.005)

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        long = asyncio.create_task(engine.submit(job("x" * 60, max_new_tokens=60), timeout=10))
        await until(lambda: len(model.steps) > 1)
        short = await engine.submit(job("ab"), timeout=10)
        assert text(short) == "ab"
        assert text(await long) == "x" * 60

    drive(model, scenario)
    assert model.steps.count(2) == 2  # one for each letter
    assert model.steps[0] == model.steps[-1] == 1


def test_max_new_tokens_is_a_rows_own() -> None:
    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        cut, whole = await asyncio.gather(
            engine.submit(job("abcdef", max_new_tokens=3), timeout=10), engine.submit(job("abcdef"), timeout=10)
        )
        assert cut.answer is not None
        assert (cut.answer.text, cut.answer.finish, cut.answer.new_tokens) == ("abc", "length", 3)
        assert text(whole) == "abcdef"

    drive(ToyModel(), scenario)


def test_rows_and_cost_bound_the_batch() -> None:
    """I8."""

    model = ToyModel(delay=0.001)

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        answers = await _all(engine, ["abcde"] * 20)  # each costs 5
        assert [text(answer) for answer in answers] == ["abcde"] * 20

    drive(model, scenario, EngineLimits(queue=100, rows=8, cost=14))
    assert max(model.steps) == 2


def test_a_row_over_the_cost_of_a_whole_batch_is_refused() -> None:
    """I8."""

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert code(await engine.submit(job("a" * 15), timeout=10)) == "image_too_large"

    drive(ToyModel(), scenario, EngineLimits(queue=100, rows=8, cost=14))


def test_a_full_queue_refuses_at_once_and_says_when_to_retry() -> None:
    """I6."""
    gate, entered = threading.Event(), threading.Event()
    model = ToyModel(on_prefill=lambda words: _wait(gate, entered))
    observer = CountingObserver()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        first = asyncio.create_task(engine.submit(job("ab"), timeout=10))
        await until(entered.is_set)  # it is in its prefill: the queue is empty
        waiting = [asyncio.create_task(engine.submit(job("ab"), timeout=10)) for _ in range(3)]
        await asyncio.sleep(0.05)
        refused = await engine.submit(job("ab"), timeout=10)
        assert code(refused) == "overloaded"
        assert refused.failure is not None
        assert refused.failure.retry_after is not None
        assert refused.failure.retry_after >= 1
        gate.set()
        assert [text(answer) for answer in await asyncio.gather(first, *waiting)] == ["ab"] * 4

    drive(model, scenario, EngineLimits(queue=2, rows=2, cost=1000), observer)
    assert observer.events["queue_full"] == 1


def test_a_row_that_cannot_be_prepared_fails_alone() -> None:
    """I3, I6."""

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        answers = await _all(engine, ["abc", "unreadable", "def"])
        assert [text(answers[0]), code(answers[1]), text(answers[2])] == ["abc", "corrupt_image", "def"]
        await until(lambda: not engine.busy)  # the device thread clears up after it has answered

    drive(ToyModel(), scenario)


def fail_on(poison: str) -> Callable[[list[str]], None]:
    def check(words: list[str]) -> None:
        if poison in words:
            raise RuntimeError("poisoned")

    return check


@pytest.mark.parametrize("verb", ["on_prefill", "on_step"])
def test_a_poisoned_row_in_a_batch_of_sixteen_fails_alone(verb: str) -> None:
    """I4."""

    model = ToyModel(delay=0.001)
    setattr(model, verb, fail_on("poison"))
    words = [*WORDS[:8], "poison", *WORDS[8:15]]

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        answers = await _all(engine, words)
        for word, answer in zip(words, answers, strict=True):
            if word == "poison":
                assert code(answer) == "runner_failed"
                assert answer.failure is not None
                assert "poisoned" not in answer.failure.message
            else:
                assert text(answer) == word

    drive(model, scenario, EngineLimits(queue=100, rows=16, cost=1000))


def test_rows_survive_a_step_that_fails_once() -> None:
    """I4, I10."""

    failures = iter([True])

    def once(words: list[str]) -> None:
        if len(words) > 3 and next(failures, False):
            raise RuntimeError("once")

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert [text(answer) for answer in await _all(engine, WORDS)] == WORDS

    drive(ToyModel(delay=0.001, on_step=once), scenario)
    assert next(failures, None) is None  # it did fail


def test_rows_survive_a_join_that_fails_once() -> None:
    """I4, I10."""

    failures = iter([True])

    def once() -> None:
        if next(failures, False):
            raise RuntimeError("once")

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert [text(answer) for answer in await _all(engine, WORDS)] == WORDS

    drive(ToyModel(delay=0.001, on_join=once), scenario)
    assert next(failures, None) is None


def test_a_fault_of_the_engine_is_answered() -> None:
    """I3."""

    class BrokenObserver(CountingObserver):
        def running_rows(self, count: int) -> None:
            if count == 2:
                raise RuntimeError("the observer is broken")

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        answers = await _all(engine, ["abcdef", "abcdefgh"], timeout=10)
        assert any(answer.failure and answer.failure.code == "runner_failed" for answer in answers)
        assert text(await engine.submit(job("a"), timeout=10)) == "a"  # and it goes on

    drive(ToyModel(delay=0.01), scenario, observer=BrokenObserver())


@pytest.mark.parametrize("error", [RuntimeError("keep_rows is broken"), OutOfMemoryError("out of memory")])
def test_rows_that_cannot_leave_cost_nobody_an_answer(error: Exception) -> None:
    """I4: those that finished are answered, and the others go on."""

    class BrokenKeepRows(ToyModel):
        def keep_rows(self, batch: ToyBatch, keep: Sequence[int]) -> ToyBatch:
            raise error

    words = ["a", "abc", "abcdef", "abcdefghijklmnop"]

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert [text(answer) for answer in await _all(engine, words, timeout=10)] == words

    drive(BrokenKeepRows(delay=0.001), scenario)


def test_a_row_without_finite_logits_fails_alone() -> None:
    """I4."""

    class Overflowing(ToyModel):
        def sample(self, batch: ToyBatch) -> None:
            super().sample(batch)
            for row in batch.rows:
                if row.word == "overflow" and len(row.tokens) == 3:
                    row.error = not_finite()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        answers = await _all(engine, ["good words", "overflow", "more words"], timeout=10)
        assert [text(answers[0]), text(answers[2])] == ["good words", "more words"]
        assert code(answers[1]) == "runner_failed"
        assert "not finite" in answers[1].failure.message  # type: ignore[union-attr]

    observer = CountingObserver()
    drive(Overflowing(delay=0.001), scenario, observer=observer)
    assert observer.events["runner_failed"] == 1


def test_a_row_whose_logits_overflow_again_in_a_repair_fails_alone() -> None:
    class Overflowing(ToyModel):
        def step(self, batch: ToyBatch) -> None:
            if len(batch.rows) > 1 and len(batch.rows[0].tokens) == 2:
                raise RuntimeError("a step that fails once")
            super().step(batch)

        def sample(self, batch: ToyBatch) -> None:
            super().sample(batch)
            for row in batch.rows:
                if row.word == "overflow" and len(row.tokens) >= 3:
                    row.error = not_finite()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        answers = await _all(engine, ["good words", "overflow"], timeout=10)
        assert text(answers[0]) == "good words"
        assert code(answers[1]) == "runner_failed"

    drive(Overflowing(delay=0.001), scenario)


def test_rows_without_pictures_are_fewer_after_memory_ran_out() -> None:
    """I8: they cost something, so the lowered budget holds them; before, all were prefilled again and again."""

    def short(words: list[str]) -> None:
        if len(words) > 2:
            raise OutOfMemoryError("out of memory")

    class Free(ToyModel):
        def prepare(self, job: Job) -> ToyRow:
            return replace(super().prepare(job), cost=0)

    words = [f"word {number}" for number in range(6)]
    model = Free(delay=0.001, on_prefill=short, on_step=short)

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert [text(answer) for answer in await _all(engine, words, timeout=10)] == words

    drive(model, scenario)
    assert len(model.prefills) < 30


def test_an_overdue_row_is_dropped_and_answered() -> None:
    """I5."""

    model = ToyModel(delay=0.01)
    observer = CountingObserver()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        slow = asyncio.create_task(engine.submit(job("x" * 400, max_new_tokens=400), timeout=0.2))
        other = asyncio.create_task(engine.submit(job("y" * 40), timeout=10))
        assert code(await slow) == "deadline_exceeded"
        assert text(await other) == "y" * 40

    drive(model, scenario, observer=observer)
    assert len(model.steps) < 100  # it would take 400
    assert observer.events["deadline_exceeded"] == 1


def test_a_cancelled_row_is_dropped_within_two_steps() -> None:
    """I5."""

    model = ToyModel(delay=0.01)
    observer = CountingObserver()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        task = asyncio.create_task(engine.submit(job("x" * 400, max_new_tokens=400), timeout=10))
        await until(lambda: len(model.steps) > 5)
        task.cancel()
        await asyncio.sleep(0)
        steps = len(model.steps)
        await until(lambda: not engine.busy)
        assert len(model.steps) <= steps + 2

    drive(model, scenario, observer=observer)
    assert observer.events["cancelled"] == 1


def test_a_row_cancelled_in_the_queue_is_never_prefilled() -> None:
    gate, entered = threading.Event(), threading.Event()
    model = ToyModel(on_prefill=lambda words: _wait(gate, entered))

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        first = asyncio.create_task(engine.submit(job("ab"), timeout=10))
        await until(entered.is_set)
        second = asyncio.create_task(engine.submit(job("cd"), timeout=10))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0)
        gate.set()
        await first

    drive(model, scenario)
    assert model.prefills == [1]


def test_closing_answers_all_rows() -> None:
    """I3."""

    gate = threading.Event()
    model = ToyModel(on_step=lambda words: _wait(gate))

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        tasks = [asyncio.create_task(engine.submit(job("abcd"), timeout=10)) for _ in range(20)]
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        await asyncio.sleep(0.05)
        gate.set()
        await closing
        assert {code(answer) for answer in await asyncio.gather(*tasks)} == {"model_not_ready"}
        assert code(await engine.submit(job("ab"), timeout=10)) == "model_not_ready"

    drive(model, scenario)


def test_timing_and_events_have_the_size_of_the_batch() -> None:
    observer = CountingObserver()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        answers = await _all(engine, ["abcdefgh"] * 8)
        assert all(answer.timing.compute > 0 for answer in answers)
        assert max(answer.timing.rows for answer in answers) > 1

    drive(ToyModel(delay=0.005), scenario, observer=observer)
    assert observer.events["first_token"] == 8
    assert max(observer.batches) > 1


# -- streaming


def test_a_listener_gets_the_whole_text_in_pieces_before_the_reply() -> None:
    """I7."""

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        pieces: list[str] = []
        plain = asyncio.create_task(engine.submit(job("stone cold"), timeout=10))
        answer = await engine.submit(job("a b  c"), timeout=10, listener=pieces.append)
        assert "".join(pieces) == text(answer) == "a b  c"
        assert len(pieces) >= 3
        assert text(await plain) == "stone cold"

    drive(ToyModel(delay=0.002), scenario)


def test_a_text_that_cannot_be_streamed_fails_no_row() -> None:
    """I7: where `partial` raises, the pieces end; the rows are answered."""

    def fail(word: str) -> None:
        if word == "bad":
            raise ValueError("half a character")

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        bad, good, plain = await asyncio.gather(
            engine.submit(job("bad"), timeout=10, listener=(bad_pieces := list[str]()).append),
            engine.submit(job("good"), timeout=10, listener=(good_pieces := list[str]()).append),
            engine.submit(job("plain"), timeout=10),
        )
        assert [text(answer) for answer in (bad, good, plain)] == ["bad", "good", "plain"]
        assert (bad_pieces, "".join(good_pieces)) == ([], "good")

    drive(ToyModel(delay=0.002, on_partial=fail), scenario)


def test_a_stop_string_is_never_streamed() -> None:
    """I7."""

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        pieces: list[str] = []
        asked = replace(job("one two. Three"), stop=(". T", "zzz"))
        answer = await engine.submit(asked, timeout=10, listener=pieces.append)
        assert "".join(pieces) == text(answer) == "one two"
        assert answer.answer is not None
        assert answer.answer.finish == "stop"

    drive(ToyModel(delay=0.001), scenario)


def test_a_listener_whose_caller_left_gets_no_more() -> None:
    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        pieces: list[str] = []
        task = asyncio.create_task(engine.submit(job("x" * 50), timeout=10, listener=pieces.append))
        await until(lambda: bool(pieces))
        task.cancel()
        await until(lambda: not engine.busy)
        heard = len(pieces)
        await asyncio.sleep(0.05)
        assert len(pieces) == heard < 50

    drive(ToyModel(delay=0.005), scenario)


# -- the size of a prefill


def test_a_prefill_has_no_more_rows_than_the_limit() -> None:
    model = ToyModel(delay=0.001)

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert [text(answer) for answer in await _all(engine, WORDS)] == WORDS

    drive(model, scenario, EngineLimits(queue=100, rows=16, cost=1000, prefill=3))
    assert max(model.prefills) == 3
    assert max(model.steps) > 3


# -- memory


def test_when_a_step_runs_out_of_memory_the_batch_shrinks_and_no_row_is_lost() -> None:
    """I3, I10."""

    room = 30  # letters that fit the toy's memory
    model = ToyModel(delay=0.001)

    def full(words: list[str]) -> None:
        if sum(map(len, words)) > room:
            raise OutOfMemoryError("out of memory")

    model.on_step = full
    observer = CountingObserver()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert [text(answer) for answer in await _all(engine, WORDS)] == WORDS

    drive(model, scenario, observer=observer)
    assert observer.events["memory"] >= 1
    assert model.releases == observer.events["memory"]
    assert sum(rows >= 2 for rows in model.steps) >= 10, "rows still share steps"


def test_when_a_prefill_runs_out_of_memory_its_rows_are_queued_again() -> None:
    """I3."""

    model = ToyModel(delay=0.001)

    def full(words: list[str]) -> None:
        if len(words) > 2:
            raise OutOfMemoryError("out of memory")

    model.on_prefill = full
    observer = CountingObserver()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert [text(answer) for answer in await _all(engine, WORDS)] == WORDS

    drive(model, scenario, observer=observer)
    assert observer.events["memory"] >= 1


def test_a_row_too_large_for_the_memory_fails_alone() -> None:
    """I4."""

    model = ToyModel(delay=0.001)

    def full(words: list[str]) -> None:
        if any(len(word) > 30 for word in words):
            raise OutOfMemoryError("out of memory")

    model.on_prefill = full

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        answers = await _all(engine, [*WORDS[:10], "m" * 40, *WORDS[10:20]])
        assert code(answers.pop(10)) == "out_of_memory"
        assert [text(answer) for answer in answers] == WORDS[:20]

    drive(model, scenario)


def test_a_row_that_finishes_in_the_repair_of_a_join_is_not_stepped_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I11."""

    failures = iter([True])

    def once() -> None:
        if next(failures, False):
            raise RuntimeError("once")

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        long = asyncio.create_task(engine.submit(job("x" * 40), timeout=10))
        await asyncio.sleep(0.02)
        assert text(await engine.submit(job("a"), timeout=10)) == "a"
        assert text(await long) == "x" * 40

    drive(ToyModel(delay=0.002, on_join=once), scenario)
    assert sum("retrying" in record.message for record in caplog.records) == 1


def test_a_job_that_is_submitted_while_the_engine_closes_gets_a_reply() -> None:
    """I3: `close` must not shut the pool down between the admission of a job and its preparation."""
    engine = Engine(ToyModel(), LIMITS)

    class ClosingPool(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            closing.start()
            closing.join(0.3)  # it ends here if nothing holds it up
            return super().submit(*args, **kwargs)

    closing = threading.Thread(target=engine.close)
    engine._queue._preparing = ClosingPool(1)
    assert code(asyncio.run(engine.submit(job("ab"), timeout=10))) == "model_not_ready"
    closing.join()
    assert not engine.busy  # I6


def test_a_row_that_finished_in_a_failed_sample_is_not_forgotten_when_the_batch_is_dropped() -> None:
    """I3: it has left the batch, and is among the rows that a fault of the engine or `close` answers all the same."""

    class FailingModel(ToyModel):
        def sample(self, batch: ToyBatch) -> None:
            super().sample(batch)
            if len(batch.rows) == 3:
                raise RuntimeError("after the last token of a row")

        def keep_rows(self, batch: ToyBatch, keep: object) -> ToyBatch:
            raise RuntimeError("broken")

    model = FailingModel()
    rows: list[ScheduledRow[ToyRow]] = [
        ScheduledRow(reply=Mock(), listener=None, deadline=1e9, submitted=0, prepared=model.prepare(job(word)))
        for word in ("a", "bc", "defgh")
    ]
    batch: RunningBatch[ToyRow, ToyBatch] = RunningBatch(model, BatchBudget(99), 99, EngineObserver(), Mock())
    batch.admit(rows)
    batch.step()
    assert [row.model_row.finish for row in rows] == ["stop", "stop", None]  # in the step, in its repair, not yet
    assert batch.clear() == rows
    assert batch.clear() == batch.pop_finished() == []


# -- how far ahead jobs are prepared, and what is counted


def test_jobs_are_prepared_only_as_far_as_the_prepared_rows_stay_within_their_bytes() -> None:
    """The toy's rows take a byte a letter. Rows that the batch takes make room for the preparation of others."""
    gate, entered = threading.Event(), threading.Event()
    prepared: list[str] = []

    class Watched(ToyModel):
        def prepare(self, job: Job) -> ToyRow:
            prepared.append(job.prompt)
            return super().prepare(job)

    model = Watched(on_prefill=lambda words: _wait(gate, entered))
    words = [f"{number:04}" for number in range(40)]

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        first = asyncio.create_task(engine.submit(job("aa"), timeout=10))
        await until(entered.is_set)
        others = [asyncio.create_task(engine.submit(job(word), timeout=10)) for word in words]
        await until(lambda: len(engine._queue.waiting) >= 5)
        await asyncio.sleep(0.05)
        # 20 bytes are 5 rows, and one for each other thread that was at work when the fifth was ready.
        assert 5 <= len(prepared) - 1 == len(engine._queue.waiting) <= 6
        assert engine._queue.admitted == 40
        gate.set()
        assert [text(answer) for answer in await asyncio.gather(first, *others)] == ["aa", *words]
        assert (engine._queue._prepared_bytes, engine._queue.admitted, engine._queue.calls) == (0, 0, 0)

    drive(model, scenario, EngineLimits(queue=100, rows=8, cost=1000, prepared=20))
    assert len(prepared) == 41


def test_a_row_larger_than_what_may_be_prepared_ahead_is_prepared_all_the_same() -> None:
    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        assert [text(answer) for answer in await _all(engine, WORDS[:20])] == WORDS[:20]

    drive(ToyModel(), scenario, EngineLimits(queue=100, rows=8, cost=1000, prepared=1))


def test_as_many_calls_are_taken_as_a_queue_and_a_batch_have_whether_they_run_or_not() -> None:
    """I6: a gateway gives a model that many at a time, when it has just been loaded too; none of them is refused."""
    gate = threading.Event()
    model = ToyModel(on_prefill=lambda words: _wait(gate))

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        calls = [asyncio.create_task(engine.submit(job("ab"), timeout=10)) for _ in range(24)]
        await asyncio.sleep(0.05)
        assert code(await engine.submit(job("ab"), timeout=10)) == "overloaded"
        gate.set()
        assert [text(answer) for answer in await asyncio.gather(*calls)] == ["ab"] * 24
        assert text(await engine.submit(job("ab"), timeout=10)) == "ab"

    drive(model, scenario, EngineLimits(queue=20, rows=4, cost=1000))


def test_a_caller_that_leaves_the_queue_takes_its_row_along() -> None:
    """Whoever asks and leaves again and again fills neither the queue nor the memory."""
    gate, entered = threading.Event(), threading.Event()
    model = ToyModel(on_prefill=lambda words: _wait(gate, entered))
    observer = CountingObserver()

    async def scenario(engine: Engine[ToyRow, ToyBatch]) -> None:
        first = asyncio.create_task(engine.submit(job("aa"), timeout=10))
        await until(entered.is_set)
        for _ in range(5):
            calls = [asyncio.create_task(engine.submit(job("word"), timeout=10)) for _ in range(10)]
            await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
        await until(lambda: engine._queue._in_preparation == 0)
        assert (engine._queue.admitted, engine._queue.calls, len(engine._queue.waiting)) == (0, 1, 0)
        assert engine._queue._prepared_bytes == 0
        gate.set()
        assert text(await first) == "aa"

    drive(model, scenario, EngineLimits(queue=11, rows=1, cost=1000, prepared=12), observer)
    assert observer.events["cancelled"] == 50
    assert observer.events["queue_full"] == 0
    assert model.prefills == [1]
