"""Rows join a batch without being copied, no more rows move than have left, and storage is as large as they need."""

from __future__ import annotations

import gc
import itertools
import random

import pytest
import torch

from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.storage import CacheShape, KVStorage, row_bucket

SHAPE = CacheShape(layers=3, heads=2, head_width=4, cross_length=5)
GROWTH = 16


def store(*, static: bool = False, shape: CacheShape = SHAPE) -> KVStorage:
    return KVStorage(shape, device=torch.device("cpu"), dtype=torch.float32, growth=GROWTH, static=static)


def numbered(storage: KVStorage, first: int, count: int, length: int = 20) -> BatchCache:
    """Rows whose keys and values, own and crossed, are their numbers."""
    cache = BatchCache(storage, count, length)
    assert cache.order == list(range(count))
    for index in range(storage.shape.layers):
        assert not cache.span().layer(index).any()
        for part in (cache.span().layer(index), cache.span().cross(index)):
            part[:] = torch.arange(first, first + count)[:, None, None, None]
    return cache


def numbers(cache: BatchCache) -> list[int]:
    """What numbers the rows have, everywhere the same."""
    found = []
    for index in range(cache.storage.shape.layers):
        layer, cross = cache.span().layer(index)[cache.order], cache.span().cross(index)[cache.order]
        used = layer[:, :, :GROWTH]
        assert bool((used == layer[:, :1, :1, :1]).all())
        assert bool((cross == layer[:, :1, :1, :1]).all())
        found.append([int(number) for number in layer[:, 0, 0, 0]])
    assert all(one == found[0] for one in found)
    return found[0]


def test_buckets() -> None:
    padded = [row_bucket(rows) for rows in range(1, 34)]
    assert sorted(set(padded)) == [1, 2, 4, 8, 16, 24, 32, 40]
    assert all(rows <= size for rows, size in enumerate(padded, start=1))


def test_a_row_that_joins_is_not_copied() -> None:
    storage = store()
    cache = numbered(storage, 0, 3)
    newcomers = numbered(storage, 3, 1)
    addresses = [layer.data_ptr() for layer in storage.layers]
    for layer in storage.layers:
        layer[3] += 100  # in place: whoever had a copy would not see it
    cache.add_rows(newcomers)
    assert newcomers.rows == 0
    assert [layer.data_ptr() for layer in storage.layers] == addresses
    assert [int(number) for number in cache.span().layer(1)[:, 0, 0, 0]] == [0, 1, 2, 103]


@pytest.mark.parametrize("static", [False, True])
def test_no_more_rows_move_than_have_left(static: bool) -> None:
    storage = store(static=static)
    cache = numbered(storage, 0, 5)
    cache.add_rows(numbered(storage, 5, 5))
    assert (storage.rows, storage.length, storage.reallocations) == (16, 32, 2)
    cache.keep_rows([0, 3, 4, 5, 7, 8, 9], 20)
    assert cache.order == [0, 3, 4, 5, 1, 2, 6]
    assert storage.reallocations == 2, "rows that move within the storage do not reallocate it"
    assert numbers(cache) == [0, 3, 4, 5, 7, 8, 9]
    cache.keep_rows([6, 4], 7)
    assert sorted(cache.order) == [0, 1]
    assert numbers(cache) == [9, 7]
    assert cache.in_storage_order(["9", "7"]) == [str(int(number)) for number in cache.span().layer(0)[:, 0, 0, 0]]


def test_rows_that_joined_behind_a_gap_close_it() -> None:
    """The batch shrank between the newcomers' prefill and their joining it; of them the last ones move."""
    storage = store()
    cache, newcomers = numbered(storage, 0, 4), numbered(storage, 10, 4)
    newcomers.keep_rows([1, 3, 2], 20)
    cache.keep_rows([0, 2], 20)
    cache.add_rows(newcomers)
    assert numbers(cache) == [0, 2, 11, 13, 12]
    assert (cache.first, cache.end) == (0, 5)
    assert sorted(cache.order) == list(range(5))


def test_others_between_two_batches_stay_where_they_are() -> None:
    storage = store()
    cache, between, newcomers = numbered(storage, 0, 2), numbered(storage, 5, 3), numbered(storage, 10, 2)
    cache.add_rows(newcomers)
    assert numbers(cache) == [0, 1, 10, 11]
    assert numbers(between) == [5, 6, 7]
    assert (between.first, between.end) == (2, 5)
    assert cache.first >= 5


def test_rows_of_a_batch_that_nobody_has_are_free_again() -> None:
    storage = store()
    cache = numbered(storage, 0, 2)
    lost = numbered(storage, 7, 3)
    del lost
    gc.collect()
    again = numbered(storage, 9, 3)
    assert again.first == 2
    assert numbers(cache) == [0, 1]
    assert storage.rows == 8


def test_batches_that_come_and_go_keep_their_rows() -> None:
    """Prefills, joins in any order, batches that are dropped and rows that leave, at random."""
    for seed in range(60):
        rng, storage = random.Random(seed), store(static=bool(seed % 2))
        batches: list[tuple[BatchCache, list[int]]] = []
        for step in range(25):
            match rng.choice("prefill prefill join leave drop grow".split()):
                case "prefill":
                    count = rng.randint(1, 4)
                    batches.append((numbered(storage, 100 * step, count), [100 * step + row for row in range(count)]))
                case "join" if len(batches) > 1:
                    one, other = rng.sample(range(len(batches)), 2)
                    batches[one][0].add_rows(batches[other][0])
                    batches[one] = (batches[one][0], batches[one][1] + batches[other][1])
                    batches.pop(other)
                case "leave" if batches:
                    index = rng.randrange(len(batches))
                    cache, held = batches[index]
                    keep = sorted(rng.sample(range(len(held)), rng.randint(1, len(held))))
                    cache.keep_rows(keep, 20)
                    batches[index] = (cache, [held[row] for row in keep])
                case "drop" if batches:
                    batches.pop(rng.randrange(len(batches)))
                case "grow" if batches:
                    rng.choice(batches)[0].grow(rng.randint(1, 90))
            for cache, held in batches:
                assert numbers(cache) == held, seed
            taken = sorted((cache.first, cache.end) for cache, _ in batches)
            assert all(before[1] <= after[0] for before, after in itertools.pairwise(taken)), seed


def test_storage_is_as_large_as_its_rows_need() -> None:
    storage = store()
    cache = numbered(storage, 0, 1)
    sizes = [storage.rows]
    for count in (2, 1, 5, 8, 8):
        cache.add_rows(numbered(storage, cache.rows, count))
        sizes.append(storage.rows)
    assert sizes == [1, 4, 4, 16, 24, 32]
    assert numbers(cache) == list(range(25))
    cache.keep_rows(range(9), 20)
    assert storage.rows == 32, "half of it may be needed again at the next step"
    cache.keep_rows([8, 7], 20)
    assert (storage.rows, storage.length) == (2, 32)
    assert numbers(cache) == [8, 7]
    cache.grow(100)
    assert (storage.rows, storage.length) == (2, 112)
    cache.keep_rows([1], 20)
    assert (storage.rows, storage.length) == (1, 32)
    assert numbers(cache) == [7]
    storage.release()
    assert storage.rows == 1, "a batch has a row in it"
    del cache
    storage.release()
    assert (storage.rows, storage.length) == (0, 0)


def test_a_large_storage_is_not_kept_for_one_row() -> None:
    storage = store()
    crowd = numbered(storage, 0, 16, length=64)
    del crowd
    alone = numbered(storage, 1, 1)
    assert (storage.rows, storage.length) == (1, 32)
    assert numbers(alone) == [1]


def test_new_rows_hold_nothing_of_the_rows_before_them() -> None:
    """A NaN that an earlier row left behind would be multiplied by 0 where it is masked, and 0 times NaN is NaN."""
    storage = store()
    spoilt = numbered(storage, 0, 2)
    for layer in storage.layers:
        layer[:] = torch.nan
    del spoilt
    fresh = BatchCache(storage, 2, 20)
    assert not any(fresh.span().layer(index).any() for index in range(SHAPE.layers))


def test_bytes_of_a_row() -> None:
    assert SHAPE.row_bytes(7, torch.bfloat16) == 2 * 3 * 2 * 4 * (7 + 5) * 2
    storage = store(shape=CacheShape(layers=2, heads=3, head_width=8))
    cache = BatchCache(storage, 1, GROWTH)
    held = sum(storage.layers[index].nbytes for index in range(2))
    assert held == storage.shape.row_bytes(GROWTH, torch.float32)
    assert cache.rows == 1


@pytest.mark.parametrize("static", [False, True])
def test_beyond_its_budget_storage_holds_what_batches_need_and_nothing_to_spare(static: bool) -> None:
    """Many short rows and then a long one: the rectangle around both would be many long rows."""
    storage = store(static=static)
    numbered(storage, 0, 32, GROWTH)
    gc.collect()
    storage.budget = storage.nbytes
    assert storage.nbytes == storage.held_bytes(32, GROWTH)
    cache = numbered(storage, 0, 2, 3 * GROWTH)
    newcomers = numbered(storage, 2, 1, 2 * GROWTH)
    assert storage.nbytes == storage.held_bytes(3, 3 * GROWTH) <= storage.budget
    cache.add_rows(newcomers)
    assert numbers(cache) == [0, 1, 2]
    cache.grow(4 * GROWTH)
    assert storage.nbytes == storage.held_bytes(3, 4 * GROWTH)
    assert sum(layer.nbytes for layer in [*storage.layers, *storage.cross]) == storage.nbytes
    assert numbers(cache) == [0, 1, 2]


def test_within_its_budget_storage_keeps_what_it_has() -> None:
    storage = store()
    storage.budget = 10**9
    numbered(storage, 0, 8, GROWTH)
    gc.collect()
    cache = numbered(storage, 0, 1, 3 * GROWTH)
    assert (storage.rows, storage.length) == (8, 3 * GROWTH)
    cache.keep_rows([0], GROWTH)
    assert cache.length == GROWTH


@pytest.mark.parametrize("failing", range(6))
def test_memory_that_runs_out_while_storage_is_reallocated_leaves_it_usable(
    failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was allocated by then can be released."""
    storage = store()
    cache = numbered(storage, 0, 2)
    zeros, calls = storage._zeros, itertools.count()

    def limited(rows: int, length: int) -> torch.Tensor:
        if next(calls) == failing:
            raise MemoryError
        return zeros(rows, length)

    monkeypatch.setattr(storage, "_zeros", limited)
    with pytest.raises(MemoryError):
        storage.reserve(8, 3 * GROWTH)
    assert numbers(cache) == [0, 1]
    cache.grow(3 * GROWTH)
    storage.reserve(8, storage.length)
    assert {layer.shape for layer in storage.layers} == {(8, 4, 3 * GROWTH, 4)}
    assert {layer.shape for layer in storage.cross} == {(8, 4, 5, 4)}
    assert numbers(cache) == [0, 1]
    cache.order = []
    calls = itertools.count()
    with pytest.raises(MemoryError):
        storage.reserve(16, 4 * GROWTH)
    storage.release()
    assert sum(layer.nbytes for layer in [*storage.layers, *storage.cross]) == 0
