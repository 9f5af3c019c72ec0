"""What repeats itself to its end, and what only looks like it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from looksee.models.texts.repetition import (
    CUT_TIMES,
    CUT_TOKENS,
    LONGEST_PERIOD,
    LOOP_TIMES,
    LOOP_TOKENS,
    Repetition,
)


def taken(ids: Sequence[int]) -> Repetition:
    found = Repetition()
    found.take(ids)
    return found


def ends(ids: Sequence[int]) -> int | None:
    """After how many ids a row with these would end for its repetition."""
    found = Repetition()
    for count in range(1, len(ids) + 1):
        found.take(ids[:count])
        if found.is_loop:
            return count
    return None


def words(count: int, seed: int = 0) -> list[int]:
    """Ids as a text has them: some often, most seldom."""
    rng = random.Random(seed)
    return [min(int(rng.paretovariate(0.6)), 5000) for _ in range(count)]


@pytest.mark.parametrize("period", [1, 2, 3, 7, 8, 9, 20, LONGEST_PERIOD])
def test_a_loop_ends_when_it_has_gone_on_for_long(period: int) -> None:
    before = [*range(1000, 1030)]
    ids = before + [*range(period)] * 2000
    assert ends(ids) == len(before) + max(LOOP_TOKENS, LOOP_TIMES * period)


def test_a_loop_whose_ids_are_alike_is_one_too() -> None:
    ids = [1, 1, 1, 2, 1, 1, 1, 1, 2] * 200
    assert ends(ids) == LOOP_TIMES * 9
    assert taken(ids[: LOOP_TIMES * 9]).shown == 18


ROW = [1, 2] * 8 + [3]  # a row of a table
NO_LOOPS = {
    "one, one, one": [1, 2] * 60 + [9],
    "ha ha": [5] * 60,
    "a number with a hundred zeros": [7] + [8] * 100 + [9],
    "rows of empty cells": ROW * 12 + [9],
    "numbered lines": [part for line in range(300) for part in (100 + line, 1, 2, 3)],
    "a paragraph that comes ten times": [*range(50)] * 10,
    "a list that goes on": [part for item in range(200) for part in (item % 7, 50 + item // 7, 3)],
}


@pytest.mark.parametrize("ids", NO_LOOPS.values(), ids=NO_LOOPS)
def test_what_people_repeat_is_no_loop(ids: list[int]) -> None:
    assert ends(words(50) + ids + words(50, 1)) is None


def test_random_texts_are_no_loops() -> None:
    for seed in range(10):
        ids = words(1500, seed)
        assert ends(ids) is None
        assert not taken(ids).is_cut_loop


@pytest.mark.parametrize("period", [1, 3, 10])
def test_a_text_that_is_cut_while_it_repeats_itself_is_told_from_one_that_is_only_cut(period: int) -> None:
    before, needed = [*range(1000, 1020)], max(CUT_TOKENS, CUT_TIMES * period)
    repeated = [*range(period)] * needed
    assert taken(before + repeated[:needed]).is_cut_loop
    assert not taken(before + repeated[: needed - 1]).is_cut_loop
    assert not taken([*before, *repeated[:needed], 77]).is_cut_loop


def test_what_is_shown_ends_behind_the_second_time_until_the_repetition_is_broken() -> None:
    ids = [8, 9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 7]
    assert [taken(ids[:count]).shown for count in range(len(ids) + 1)] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8, 13]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_shown_only_becomes_more_and_is_the_same_in_any_portions(seed: int) -> None:
    rng = random.Random(seed)
    ids = [rng.randrange(rng.choice((2, 2, 3, 20))) for _ in range(200)]
    found, shown = Repetition(), 0
    for count in range(len(ids) + 1):
        found.take(ids[:count])
        assert shown <= found.shown <= count
        shown = found.shown
        if rng.random() < 0.1:
            assert taken(ids[:count]).shown == shown
    assert found.shown == taken(ids).shown


def test_each_id_takes_as_long_as_the_one_before() -> None:
    found = Repetition()
    found.take([1] * 20_000)
    assert sum(map(len, found._places.values())) <= 2 * LONGEST_PERIOD
    assert len(found._matches) <= LONGEST_PERIOD
