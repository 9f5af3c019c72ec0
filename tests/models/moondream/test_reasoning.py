"""Thoughts, the places in them, and the answer after them."""

from __future__ import annotations

import json
import random

import pytest

from looksee.models.moondream.reasoning import reasoning_of
from looksee.models.moondream.row_builder import TextOptions
from looksee.models.moondream.rows import ReasoningRow
from looksee.models.moondream.sequence_items import CoordinateItem
from tests.models.mixing import decode_mixed
from tests.models.moondream import alone, vectors
from tests.models.moondream.vectors import Case

CASES = json.loads((vectors.FOLDER / "mini70" / "reasoning.json").read_text())


def spelt(ids: list[int]) -> str:
    """The golden files' text: "<5>" for id 5."""
    return "".join(f"<{token}>" for token in ids)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["image"])
def test_golden_runs(case: Case) -> None:
    model = vectors.model("mini70", bias=case["lm_head_bias_overrides"])
    row = vectors.row(model, case)
    others = [vectors.row(model, other) for other in vectors.expected("mini70")["cases"][:6]]
    decode_mixed(model, [*others[:3], row, *others[3:]], random.Random(4))
    assert isinstance(row, ReasoningRow)
    ids = [5 if isinstance(item, CoordinateItem) else item for item in row.thoughts]
    assert ids == case["reasoning_ids"]
    places = [item.value for item in row.thoughts if isinstance(item, CoordinateItem)]
    assert places == [number / 1024 for number in case["coord_bins"]]
    assert [token for token in row.answer if token != 0] == case["answer_ids"]
    said = reasoning_of(row.thoughts, model.config.tokenizer, spelt)
    assert said.text == spelt(case["reasoning_ids"])
    assert [
        {"start_idx": part.start, "end_idx": part.end, "points": [list(point) for point in part.points]}
        for part in said.grounding
    ] == case["grounding"]
    assert row.tokens == [*case["reasoning_ids"], 3, *row.answer]


def test_thoughts_are_not_in_the_answer() -> None:
    model = vectors.model("mini70", bias=CASES[1]["lm_head_bias_overrides"])
    row = vectors.row(model, CASES[1])
    decode_mixed(model, [row], random.Random(0))
    assert isinstance(row, ReasoningRow)
    assert model.answer(row).text == model.tokenizer.decode(CASES[1]["answer_ids"]).strip()
    assert model.reasoning(row).text == "".join(model.tokenizer.decode([token]) for token in CASES[1]["reasoning_ids"])
    assert model.answer(row).new_tokens == len(row.tokens)


def test_with_spatial_references() -> None:
    """The published code applies the references once more to the prompt of the answer, and fails."""
    model = vectors.model("mini70")
    refs = [(0.1, 0.2, 0.6, 0.9), (0.75, 0.125)]

    def fresh() -> ReasoningRow:
        row = model.row_builder.query(
            vectors.image("im-200x100.png"), "what?", TextOptions(12), spatial_refs=refs, reasoning=True
        )
        assert isinstance(row, ReasoningRow)
        return row

    row = fresh()
    decode_mixed(model, [row], random.Random(0))
    assert row.answer_start is not None
    assert len(row.answer) > 1
    assert row.items == alone.decoded(model, fresh())


def test_a_first_thought_that_is_a_place() -> None:
    """The published code takes the states of the whole prompt for it, and fails."""
    model = vectors.model("mini70", bias={"5": 60.0})
    row = vectors.row(model, CASES[0])
    decode_mixed(model, [row], random.Random(0))
    assert isinstance(row.items[0], CoordinateItem)
    assert row.items == alone.decoded(model, vectors.row(model, CASES[0]))


def test_thoughts_leave_room_for_an_answer() -> None:
    """Both phases may be as long as was asked for, but not together longer than the context."""
    model = vectors.model("mini70", bias={"3": -99.0, "0": -99.0})
    row = model.row_builder.query(vectors.image("im-50x40.png"), "w" * 40, TextOptions(80), reasoning=True)
    assert isinstance(row, ReasoningRow)
    assert row.free_positions == 160 - 26 - 45
    decode_mixed(model, [row], random.Random(0))
    assert len(row.thoughts) == row.free_positions - 1 - 16
    assert len(row.answer) == 16
    assert row.finish == "length"
