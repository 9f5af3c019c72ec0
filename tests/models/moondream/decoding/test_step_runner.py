"""Steps over static buffers say what plain steps say, and are captured as often as they must be and no more.

A CPU has no graphs, but what is captured here is bound to the tensors of that moment like a graph to its addresses: one
that is replayed after its storage has moved reads and writes memory that is not used any more.
"""

from __future__ import annotations

import gc
import logging
import random

import pytest
import torch

from looksee.models.interface import out_of_memory
from looksee.models.moondream.decoding.batch_cache import BatchedKVCache, KVStorage, bucket
from looksee.models.moondream.decoding.step_runner import EagerStepRunner, Run, StaticStepRunner
from looksee.models.moondream.model import Moondream, MoondreamBatch
from looksee.models.moondream.row_builder import TextOptions
from looksee.models.moondream.rows import MoondreamRow
from tests.models.mixing import decode_mixed
from tests.models.moondream import vectors
from tests.models.moondream.test_mixing import BIAS, row_of, said, some_request

BLOCK = 16  # small, so that the few positions of a test are several blocks


class Counted(EagerStepRunner):
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
    model.step_runner = StaticStepRunner(plain.net, Counted(), block=BLOCK)
    return model


def counted(model: Moondream) -> Counted:
    assert model.step_runner is not None
    graphs = model.step_runner._graphs
    assert isinstance(graphs, Counted)
    return graphs


def storage(model: Moondream) -> KVStorage:
    assert model.step_runner is not None
    assert model.step_runner._storage is not None
    return model.step_runner._storage


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
    assert model.step_runner is not None
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
    assert 5 < most <= 5 * storage(model).length // BLOCK
    assert storage(model).rows == 16


def test_buckets() -> None:
    padded = [bucket(rows) for rows in range(1, 34)]
    assert sorted(set(padded)) == [1, 2, 4, 8, 16, 24, 32, 40]
    assert all(rows <= size for rows, size in enumerate(padded, start=1))


def test_a_second_batch_decodes_plainly_until_the_first_is_gone(plain: Moondream, model: Moondream) -> None:
    rng = random.Random(11)
    wanted = [some_request(rng) | {"most": 9} for _ in range(6)]
    rows = [row_of(model, request) for request in wanted]
    first, second = model.prefill(rows[:3]), model.prefill(rows[3:])
    step(model, first)
    step(model, second)
    assert first.cache.storage is storage(model)
    assert second.cache.storage is not storage(model)
    del first
    step(model, second)
    assert second.cache.storage is storage(model)
    for request, row in zip(wanted[3:], rows[3:], strict=True):
        alone = row_of(plain, request)
        decode_mixed(plain, [alone], random.Random(0))
        assert said(row)[:2] == said(alone)[:2]


def test_adopted_newcomers_join_a_batch_that_is_not(plain: Moondream, model: Moondream) -> None:
    """As when rows are put back one by one after a failure: the batch that was stepped first is adopted."""
    rows = [caption(model, 6), model.row_builder.query(None, "why?", TextOptions(6)), caption(model, 5)]
    adopted = model.prefill(rows[:2])
    step(model, adopted)
    batch = model.prefill(rows[2:])
    batch = model.add_rows(batch, adopted)
    del adopted
    for _ in range(5):
        step(model, batch)
    fresh = [caption(plain, 6), plain.row_builder.query(None, "why?", TextOptions(6)), caption(plain, 5)]
    decode_mixed(plain, fresh, random.Random(0))
    assert [row.tokens for row in rows] == [row.tokens for row in fresh]
    assert batch.cache.storage is storage(model)


def test_a_new_row_reads_nothing_of_the_row_before_it(plain: Moondream, model: Moondream) -> None:
    """A NaN that an earlier row left behind would be multiplied by 0 where it is masked, and 0 times NaN is NaN."""
    spoilt = caption(model)
    staying = model.row_builder.query(vectors.image("im-50x40.png"), "a" * 45, TextOptions(9))  # longer than a newcomer
    batch = model.prefill([staying, spoilt])
    step(model, batch)
    with torch.inference_mode():
        for layer in storage(model).layers:
            layer[:, 1] = torch.nan
    batch = model.keep_rows(batch, [0])
    newcomer = model.row_builder.query(None, "what?", TextOptions(6))
    batch = model.add_rows(batch, model.prefill([newcomer]))
    for _ in range(6):
        step(model, batch)
    assert torch.isfinite(batch.hidden).all()
    fresh = plain.row_builder.query(None, "what?", TextOptions(6))
    decode_mixed(plain, [fresh], random.Random(0))
    assert newcomer.tokens[: len(fresh.tokens)] == fresh.tokens


def numbered(first: int, count: int) -> BatchedKVCache:
    """Rows whose keys and values are their numbers."""
    storage = KVStorage(vectors.config("mini70").text, count, 20, device=vectors.CPU, dtype=torch.float32)
    for layer in storage.layers:
        layer[:] = torch.arange(first, first + count)[:, None, None, None]
    return BatchedKVCache(storage, count)


def numbers(cache: BatchedKVCache) -> list[int]:
    """What numbers the rows have, everywhere the same."""
    found = [layer[:, cache.storage_rows] for layer in cache.view().layers]
    assert all(bool((layer == layer[:1, :, :1, :1, :1]).all()) for layer in found)
    assert len({tuple(layer[0, :, 0, 0, 0].tolist()) for layer in found}) == 1
    return [int(number) for number in found[0][0, :, 0, 0, 0]]


@torch.inference_mode()
@pytest.mark.parametrize("static", [False, True])
def test_no_more_rows_move_than_have_left(static: bool) -> None:
    config = vectors.config("mini70").text
    storage = KVStorage(config, device=vectors.CPU, dtype=torch.float32, block=BLOCK, static=static)
    cache = BatchedKVCache(storage)
    for first in (0, 5):
        newcomers = numbered(first, 5)
        cache.add_rows(newcomers)
        assert newcomers.rows == 0
    assert (storage.rows, storage.length, storage.reallocations) == (16, 32, 2)
    cache.keep_rows([0, 3, 4, 5, 7, 8, 9], 20)
    assert cache.storage_rows == [0, 3, 4, 5, 1, 2, 6]
    assert storage.reallocations == 2, "rows that move within the storage do not reallocate it"
    assert cache.length == 20
    assert numbers(cache) == [0, 3, 4, 5, 7, 8, 9]
    cache.keep_rows([6, 4], 7)
    assert sorted(cache.storage_rows) == [0, 1]
    assert numbers(cache) == [9, 7]
    assert cache.length == 7


@torch.inference_mode()
def test_rows_in_another_storage_order_join_others() -> None:
    cache, newcomers = numbered(0, 3), numbered(10, 4)
    newcomers.keep_rows([1, 3, 2], 20)
    assert newcomers.storage_rows != [0, 1, 2]
    cache.add_rows(newcomers)
    assert numbers(cache) == [0, 1, 2, 11, 13, 12]
    assert cache.in_storage_order(["a", "b", "c", "k", "m", "l"]) == [
        {0: "a", 1: "b", 2: "c", 11: "k", 13: "m", 12: "l"}[number]
        for number in cache.view().layers[0][0, :, 0, 0, 0].int().tolist()
    ]


@torch.inference_mode()
def test_storage_is_as_large_as_its_rows_need() -> None:
    cache = BatchedKVCache(
        KVStorage(vectors.config("mini70").text, device=vectors.CPU, dtype=torch.float32, block=BLOCK)
    )
    sizes = []
    for count in (1, 2, 1, 5, 8, 8):
        cache.add_rows(numbered(cache.rows, count))
        sizes.append(cache.storage.rows)
    assert sizes == [1, 4, 4, 16, 24, 32]
    assert numbers(cache) == list(range(25))
    cache.keep_rows(range(9), 20)
    assert cache.storage.rows == 32, "half of it may be needed again at the next step"
    cache.keep_rows([8, 7], 20)
    assert (cache.storage.rows, cache.storage.length) == (2, 32)
    assert numbers(cache) == [8, 7]
    cache.grow(100)
    assert (cache.storage.rows, cache.storage.length) == (2, 112)
    cache.keep_rows([1], 20)
    assert (cache.storage.rows, cache.storage.length) == (1, 32)
    assert numbers(cache) == [7]


class Broken(EagerStepRunner):
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
    model.step_runner = StaticStepRunner(plain.net, broken, block=BLOCK)
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
    model.step_runner = StaticStepRunner(plain.net, Broken(torch.OutOfMemoryError("CUDA out of memory")), block=BLOCK)
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
    assert model.step_runner is not None
    assert not model.step_runner._runs
    assert counted(model).held == 0
    assert storage(model).rows == 8, "a batch is in it"
    for _ in range(5):
        step(model, batch)
    assert counted(model).captured > captured
    fresh = caption(plain)
    decode_mixed(plain, [fresh], random.Random(0))
    assert [row.tokens for row in rows] == [fresh.tokens] * 2
    del batch
    gc.collect()
    model.release_memory()
    assert model.step_runner._storage is None
    again = caption(model)
    decode_mixed(model, [again], random.Random(0))
    assert again.tokens == fresh.tokens


def test_a_device_without_graphs_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="looksee.models"):
        model = vectors.model("mini70", cuda_graphs=True)
    assert model.step_runner is None
    assert "no CUDA graphs on the device 'cpu'" in caplog.text
    caplog.clear()
    vectors.model("mini70")
    assert not caplog.records
