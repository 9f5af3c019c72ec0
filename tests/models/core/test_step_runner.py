"""Steps over static buffers say what plain steps say, and are captured as often as they must be and no more.

A CPU has no graphs, but what is captured here is bound to the tensors of that moment like a graph to its addresses: one
that is replayed after its storage has moved reads and writes memory that is not used any more.
"""

from __future__ import annotations

import gc
import logging
import random
import weakref
from unittest import mock

import pytest
import torch

from looksee.models.core.graphs import NoGraphs, Run
from looksee.models.core.step_runner import StepRunner
from looksee.models.interface import out_of_memory
from looksee.models.moondream.model import Moondream, MoondreamBatch
from looksee.models.moondream.row_builder import TextOptions
from looksee.models.moondream.rows import MoondreamRow
from tests.models.mixing import decode_mixed
from tests.models.moondream import vectors
from tests.models.moondream.test_mixing import BIAS, row_of, said, some_request

GROWTH = 16  # small, so that the few positions of a test are several buckets


class Counted(NoGraphs):
    """Counts what is captured, and what is in use."""

    def __init__(self) -> None:
        self.captured = self.held = self.most = 0

    def capture(self, run: Run) -> Run:
        self.captured += 1
        self.held += 1
        self.most = max(self.most, self.held)
        for _ in range(2):  # as warm-up and capture do
            run()
        return run

    def reset(self) -> None:
        self.held = 0


@pytest.fixture(scope="module")
def plain() -> Moondream:
    return vectors.model("mini70", bias=BIAS)


@pytest.fixture
def model(plain: Moondream) -> Moondream:
    """The same weights, and steps over static buffers."""
    model = vectors.model("mini70", bias=BIAS)
    model.net = plain.net
    use(model, Counted())
    return model


def use(model: Moondream, graphs: NoGraphs) -> None:
    """Step over static buffers, captured by `graphs`."""
    net = model.net
    model.step_runner = StepRunner(net.text, device=net.device, dtype=net.cache_dtype, graphs=graphs, growth=GROWTH)


def counted(model: Moondream) -> Counted:
    graphs = model.step_runner._graphs
    assert isinstance(graphs, Counted)
    return graphs


def caption(model: Moondream, most: int = 6) -> MoondreamRow:
    return model.row_builder.caption(vectors.image("im-50x40.png"), "normal", TextOptions(most))


def step(model: Moondream, batch: MoondreamBatch) -> None:
    model.step(batch)
    model.sample(batch)


def check(plain: Moondream, wanted: list[dict[str, object]], rows: list[MoondreamRow]) -> None:
    """Each row has said what it says alone, in plain steps."""
    for request, row in zip(wanted, rows, strict=True):
        alone = row_of(plain, request)
        decode_mixed(plain, [alone], random.Random(0))
        assert said(row) == said(alone), request


def test_rows_in_buckets_say_what_they_say_alone(plain: Moondream, model: Moondream) -> None:
    """Each of these makes it fail: padding in a row that is used, rows fed in batch order instead of storage order,
    rows that leave gaps in the storage, storage that moves after their graph was captured.
    """
    joins, buckets = 0, set()
    for trial in range(6):
        rng = random.Random(trial)
        wanted = [some_request(rng) for _ in range(24)]
        rows = [row_of(model, request) for request in wanted]
        joins += decode_mixed(model, rows, rng, most=12)
        check(plain, wanted, rows)
        buckets |= set(model.step_runner._runs)
    assert joins >= 12
    assert {rows for rows, _ in buckets} == {1, 2, 4, 8, 16}
    assert len({length for _, length in buckets}) > 3


def test_a_bucket_is_captured_once(model: Moondream) -> None:
    for _ in range(2):
        rng = random.Random(5)
        decode_mixed(model, [row_of(model, some_request(rng)) for _ in range(24)], rng, most=12)
    first, most = counted(model).captured, counted(model).most
    rng = random.Random(5)
    decode_mixed(model, [row_of(model, some_request(rng)) for _ in range(24)], rng, most=12)
    assert counted(model).captured == first, "the storage is large enough by now, and every bucket known"
    assert 5 < most <= 5 * model.step_runner.storage.length // GROWTH
    assert model.step_runner.storage.rows == 16


def test_a_second_batch_decodes_plainly_until_the_first_is_gone(plain: Moondream, model: Moondream) -> None:
    rng = random.Random(11)
    wanted = [some_request(rng) | {"most": 9} for _ in range(6)]
    rows = [row_of(model, request) for request in wanted]
    first, second = model.prefill(rows[:4]), model.prefill(rows[4:])
    step(model, first)
    step(model, second)
    assert counted(model).captured == 1, "of the batch that has the first rows"
    del first
    newcomers = model.prefill([caption(model)])
    assert newcomers.cache.first == 0
    step(model, second)
    for request, row in zip(wanted[4:], rows[4:], strict=True):
        alone = row_of(plain, request)
        decode_mixed(plain, [alone], random.Random(0))
        assert said(row)[:2] == said(alone)[:2]


def test_newcomers_that_were_stepped_already_join(plain: Moondream, model: Moondream) -> None:
    """As when rows are put back one by one after a failure, and as when the batch joins its newcomers."""
    rows = [caption(model, 6), model.row_builder.query(None, "why?", TextOptions(6)), caption(model, 5)]
    stepped = model.prefill(rows[:2])
    step(model, stepped)
    batch = model.prefill(rows[2:])
    batch = model.add_rows(batch, stepped)
    for _ in range(5):
        step(model, batch)
    fresh = [caption(plain, 6), plain.row_builder.query(None, "why?", TextOptions(6)), caption(plain, 5)]
    decode_mixed(plain, fresh, random.Random(0))
    assert [row.tokens for row in rows] == [row.tokens for row in fresh]


def test_padding_is_never_in_rows_that_another_batch_has(plain: Moondream, model: Moondream) -> None:
    """Three rows are padded to four, and the fourth has just been prefilled for somebody."""
    rows = [caption(model, 6) for _ in range(3)]
    batch, other = model.prefill(rows), model.row_builder.query(None, "why?", TextOptions(6))
    newcomers = model.prefill([other])
    step(model, batch)
    assert counted(model).captured == 0
    batch = model.add_rows(batch, newcomers)
    for _ in range(6):
        step(model, batch)
    fresh = plain.row_builder.query(None, "why?", TextOptions(6))
    decode_mixed(plain, [fresh], random.Random(0))
    assert other.tokens[: len(fresh.tokens)] == fresh.tokens


def test_a_new_row_reads_nothing_of_the_row_before_it(plain: Moondream, model: Moondream) -> None:
    """A NaN that an earlier row left behind would be multiplied by 0 where it is masked, and 0 times NaN is NaN."""
    spoilt = caption(model)
    staying = model.row_builder.query(vectors.image("im-50x40.png"), "a" * 45, TextOptions(9))  # longer than a newcomer
    batch = model.prefill([staying, spoilt])
    step(model, batch)
    with torch.inference_mode():
        for layer in model.step_runner.storage.layers:
            layer[1] = torch.nan
    batch = model.keep_rows(batch, [0])
    newcomer = model.row_builder.query(None, "what?", TextOptions(6))
    batch = model.add_rows(batch, model.prefill([newcomer]))
    for _ in range(6):
        step(model, batch)
    assert torch.isfinite(batch.hidden).all()
    fresh = plain.row_builder.query(None, "what?", TextOptions(6))
    decode_mixed(plain, [fresh], random.Random(0))
    assert newcomer.tokens[: len(fresh.tokens)] == fresh.tokens


class Broken(NoGraphs):
    """Works once."""

    def __init__(self, error: Exception) -> None:
        self.error, self.calls = error, 0

    def capture(self, run: Run) -> Run:
        self.calls += 1
        if self.calls == 1:
            return run
        raise self.error


def test_what_cannot_be_captured_runs_without(
    plain: Moondream, model: Moondream, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken(RuntimeError("operation not permitted when stream is capturing"))
    use(model, broken)
    rng = random.Random(6)
    wanted = [some_request(rng) for _ in range(16)]
    rows = [row_of(model, request) for request in wanted]
    with caplog.at_level(logging.WARNING, logger="looksee.models"):
        decode_mixed(model, rows, rng)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "not permitted" in caplog.text
    assert broken.calls == 2
    check(plain, wanted, rows)


def test_memory_that_runs_out_in_a_capture_is_the_engines_affair(plain: Moondream, model: Moondream) -> None:
    use(model, Broken(torch.OutOfMemoryError("CUDA out of memory")))
    batch = model.prefill([caption(model), caption(model)])
    step(model, batch)
    batch = model.keep_rows(batch, [0])
    with pytest.raises(torch.OutOfMemoryError) as raised:
        step(model, batch)
    assert out_of_memory(raised.value)


def test_memory_is_given_back(plain: Moondream, model: Moondream) -> None:
    rows = [caption(model), caption(model)]
    batch = model.prefill(rows)
    step(model, batch)
    captured = counted(model).captured
    model.release_memory()
    assert not model.step_runner._runs
    assert counted(model).held == 0
    assert model.step_runner.storage.rows == 8, "a batch is in it"
    for _ in range(5):
        step(model, batch)
    assert counted(model).captured > captured
    fresh = caption(plain)
    decode_mixed(plain, [fresh], random.Random(0))
    assert [row.tokens for row in rows] == [fresh.tokens] * 2
    del batch
    gc.collect()
    model.release_memory()
    assert model.step_runner.storage.rows == 0
    again = caption(model)
    decode_mixed(model, [again], random.Random(0))
    assert again.tokens == fresh.tokens


def test_a_device_without_graphs_is_told_so(model: Moondream, caplog: pytest.LogCaptureFixture) -> None:
    eager = vectors.model("mini70")
    with caplog.at_level(logging.WARNING, logger="looksee.models"):
        eager.capture_steps(8)
    assert not eager.step_runner.storage.static
    assert "no CUDA graphs on the device 'cpu'" in caplog.text


def test_what_is_prepared_is_not_captured_in_a_request(plain: Moondream, model: Moondream) -> None:
    model.step_runner.prepare(12, 80)
    captured = counted(model).captured
    assert set(model.step_runner._runs) == {
        (rows, length) for rows in (1, 2, 4, 8, 16) for length in (16, 32, 48, 64, 80)
    }
    assert captured == len(model.step_runner._runs)
    reallocations = model.step_runner.storage.reallocations
    rng = random.Random(5)
    wanted = [some_request(rng) for _ in range(24)]
    rows = [row_of(model, request) for request in wanted]
    assert max(row.position for row in rows) < 64
    decode_mixed(model, rows, rng, most=12)
    assert counted(model).captured == captured
    assert model.step_runner.storage.reallocations == reallocations
    check(plain, wanted, rows)


def test_too_little_memory_for_graphs_is_no_reason_not_to_start(
    model: Moondream, caplog: pytest.LogCaptureFixture
) -> None:
    use(model, Broken(torch.OutOfMemoryError("CUDA out of memory")))
    with caplog.at_level(logging.WARNING, logger="looksee.models"):
        model.step_runner.prepare(4, 60)
    assert "not enough memory" in caplog.text
    assert model.step_runner.storage.rows == 0
    row = caption(model)
    decode_mixed(model, [row], random.Random(0))
    assert row.finish


def test_nothing_holds_old_storage_while_it_grows(model: Moondream) -> None:
    """What was captured refers to the tensors: with both, keys and values would exist twice for a moment."""
    batch = model.prefill([caption(model)])
    step(model, batch)
    storage = model.step_runner.storage
    old, zeros = weakref.ref(storage.layers[0]), storage._zeros
    alive = []

    def watched(rows: int, length: int) -> torch.Tensor:
        alive.append(old() is not None)
        return zeros(rows, length)

    with mock.patch.object(storage, "_zeros", watched):
        batch.cache.grow(storage.length + 1)
    assert alive == [True, False], "each layer is replaced before the next"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("a memory"), False),
    ],
)
def test_memory_that_runs_out_is_known_by_all_its_names(error: Exception, expected: bool) -> None:
    assert out_of_memory(error) is expected
    hidden = RuntimeError("CUDA error: operation failed due to a previous error during capture")
    hidden.__context__ = error
    assert out_of_memory(hidden) is expected
    error.__context__ = hidden  # a circle is no endless search
    assert out_of_memory(hidden) is expected
