"""A place's confidence: that there is one more thing, and that its numbers lie about where they are told."""

from __future__ import annotations

import math
import random

import pytest
import torch

from looksee.core.tasks import Job, Task
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.network.confidence import NEAR_COORDINATE, NEAR_SIZE, goes_on, likeliest_bins
from looksee.models.moondream.rows import DetectRow, PointRow
from looksee.models.moondream.sequence_items import SizeItem
from tests.models.mixing import decode_mixed
from tests.models.moondream import vectors
from tests.models.moondream.alone import UncachedDecoding


def test_a_bin_has_the_mass_of_its_neighbours() -> None:
    chances = torch.tensor([[0.05, 0.05, 0.1, 0.5, 0.2, 0.1], [0.6, 0.1, 0.1, 0.1, 0.05, 0.05]])
    for near, *expected in ((1, 0.8, 0.7), (0, 0.5, 0.6), (9, 1.0, 1.0)):  # the second one is at the edge
        (place, mass), (other, rest) = filter(None, likeliest_bins(chances.log(), near))
        assert (place, other) == (3, 0)
        assert [mass, rest] == pytest.approx(expected)


def test_bins_that_are_not_finite_are_none() -> None:
    logits = torch.zeros(4, 5)
    logits[0, 2] = torch.nan
    logits[1] = torch.nan
    logits[2, 4] = torch.inf
    logits[3, 1] = -torch.inf
    *bad, good = likeliest_bins(logits, 0)
    assert bad == [None] * 3
    assert good is not None
    assert good == pytest.approx((0, 0.25))


def test_going_on_is_anything_but_the_end() -> None:
    assert goes_on(torch.tensor([[0.2, 0.3, 0.5], [0.9, 0.1, 0.0]]).log(), 0) == [
        pytest.approx(0.8),
        pytest.approx(0.1),
    ]


def _mass(logits: torch.Tensor, near: int) -> float:
    chances = logits.softmax(-1)
    place = int(chances.argmax())
    return float(chances[max(0, place - near) : place + near + 1].sum())


@torch.inference_mode()
def _by_the_letter(model: Moondream, row: PointRow) -> list[float]:
    """The confidences of what a row was fed: its whole sequence computed again for every number."""
    alone = UncachedDecoding(model, row)
    fed, found = list(row.items), list[float]()
    for number, item in enumerate(fed):
        first = number % row.items_per_object == 0
        if first:
            found.append(1 - float(alone.logits().softmax(-1)[model.config.tokenizer.eos_id]))
        hidden = alone.hidden()
        if isinstance(item, SizeItem):
            found[-1] *= math.prod(_mass(one, NEAR_SIZE) for one in alone.net.region.size_decoder(hidden).view(2, -1))
        else:
            found[-1] *= _mass(alone.net.region.coord_decoder(hidden), NEAR_COORDINATE)
        alone.items.append(item)
    return found


def test_rows_of_all_skills_together_have_what_each_has_alone() -> None:
    """Each of these makes it fail: the chances of another row or head, or of the end in place of going on."""
    model = vectors.model("mini70", bias={"0": 3.0})
    picture = vectors.image(vectors.expected("mini70")["images"][0]["image"])
    jobs = [
        Job(task, (picture,), words, max_objects=3, max_new_tokens=6)
        for words in ("a", "circle", "red")
        for task in (Task.DETECT, Task.CAPTION, Task.POINT)
    ]
    rows = [model.prepare(job) for job in jobs]
    decode_mixed(model, rows, random.Random(4))
    answers = [model.answer(row) for row in rows]
    assert sum(len(answer.confidences) for answer in answers) > 6
    assert len({value for answer in answers for value in answer.confidences}) > 6
    for row, answer in zip(rows, answers, strict=True):
        assert len(answer.confidences) == len(answer.boxes) + len(answer.points)
        if isinstance(row, PointRow):
            assert answer.confidences == pytest.approx(_by_the_letter(model, row), rel=1e-3, abs=1e-6)
            assert bool(answer.boxes) == isinstance(row, DetectRow)
