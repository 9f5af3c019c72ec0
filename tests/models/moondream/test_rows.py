"""Each skill's state machine, without a model."""

from __future__ import annotations

from typing import Any

from looksee.models.moondream.config import TokenizerConfig
from looksee.models.moondream.rows import DetectRow, Head, PointRow, ReasoningRow, StepOutput, TextRow
from looksee.models.moondream.sequence_items import CoordinateItem, SizeItem

SHARED: dict[str, Any] = {"cost": 0, "prompt_tokens": 2, "special_ids": TokenizerConfig(), "image": None, "start": 0}


def text(most: int = 9) -> TextRow:
    return TextRow(**SHARED, prompt=[1, 2], max_new_tokens=most)


def test_an_answer_may_begin_with_the_answer_id_but_not_hold_it() -> None:
    row = text()
    banned = [row.banned_ids()]
    row.advance(StepOutput(token=3))
    assert row.finish is None
    assert [*banned, row.banned_ids()] == [(), (3,)]


def test_an_answer_ends_with_the_end_or_its_length() -> None:
    row = text()
    row.advance(StepOutput(token=50))
    row.advance(StepOutput(token=0))
    assert (row.tokens, row.finish) == ([50, 0], "stop")
    row = text(2)
    row.advance(StepOutput(token=50))
    row.advance(StepOutput(token=51))
    assert (row.tokens, row.finish) == ([50, 51], "length")


def test_the_position_of_the_next_item() -> None:
    row = text()
    assert (row.latest, row.position) == (2, 1)
    row.advance(StepOutput(token=50))
    assert (row.latest, row.position) == (50, 2)


def test_thoughts_may_not_end_the_text() -> None:
    row = ReasoningRow(**SHARED, prompt=[1, 2], max_new_tokens=9, free_positions=40, max_thoughts=9)
    banned = []
    for output in (
        StepOutput(token=0),
        StepOutput(token=5, coordinate=0.25),
        StepOutput(token=3),
        StepOutput(token=60),
    ):
        banned.append(row.banned_ids())
        row.advance(output)
        assert row.finish is None
    assert [*banned, row.banned_ids()] == [(), (0, 6), (0, 6), (), (3,)]
    assert row.items == [0, CoordinateItem(0.25), 3, 60]
    assert (row.answer_start, row.heads) == (3, Head.TOKEN)
    assert (row.answer, row.thoughts) == ([60], [0, CoordinateItem(0.25)])


def test_boxes_take_three_steps_and_points_two() -> None:
    row = DetectRow(**SHARED, prompt=[1, 2], max_new_tokens=6)
    heads, found = [], []
    # Any token but the end goes on, and within a box no token is asked for.
    for output in (
        StepOutput(token=77, coordinate=0.5),
        StepOutput(token=0, coordinate=0.25),
        StepOutput(size=(0.5, 1.0)),
    ):
        heads.append(row.heads)
        found.append(row.boxes)
        row.advance(output)
    assert heads == [Head.TOKEN | Head.COORDINATE, Head.COORDINATE, Head.SIZE]
    assert found == [[], [], []]
    assert row.boxes == [(0.25, -0.25, 0.75, 0.75)]
    assert row.points == []
    assert row.tokens == [5, 5, 6]
    assert row.items[-1] == SizeItem(0.5, 1.0)
    row.advance(StepOutput(token=0))
    assert (row.tokens, row.finish) == ([5, 5, 6, 0], "stop")

    pointing = PointRow(**SHARED, prompt=[1, 2], max_new_tokens=5)
    for number in range(4):
        assert pointing.finish is None
        pointing.advance(StepOutput(token=5, coordinate=number / 10))
    assert pointing.points == [(0.0, 0.1), (0.2, 0.3)]
    assert (pointing.finish, pointing.boxes) == ("length", [])
