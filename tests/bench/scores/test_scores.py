"""From answers to a curve: what is right, how it is counted, and what is drawn."""

from __future__ import annotations

import random
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from bench.scores import asking, tables
from bench.scores.asking import judged, spoil
from bench.scores.curves import calibration_error, parts, separation
from looksee.models.loading import load
from looksee.models.weights.source import SAMPLES

PAIRS = [(0.1, False), (0.55, True), (0.55, False), (0.92, True), (1.0, True), (1.0, True)]
LINES: list[dict[str, Any]] = [
    {"skill": "detect", "model": "moondream", "spoilt": False, "pairs": [[0.97, 1]] * 12 + [[0.5, 1], [0.5, 0]]},
    {"skill": "flag", "model": "gemma", "spoilt": True, "pairs": [[1.0, 1]] * 10},
]


def test_parts_hold_each_score_once() -> None:
    found = [(part.low, part.count, part.mean, part.right) for part in parts(PAIRS)]
    assert found == [(0.0, 1, 0.1, 0.0), (0.4, 2, 0.55, 0.5), (0.9, 1, 0.92, 1.0), (0.99, 2, 1.0, 1.0)]
    assert calibration_error(PAIRS) == pytest.approx((0.1 + 2 * 0.05 + 0.08) / 6)
    assert calibration_error([]) == 0


def test_separation_is_how_often_the_right_one_scores_higher() -> None:
    won = sum((right > wrong) + (right == wrong) / 2 for right in (0.55, 0.92, 1, 1) for wrong in (0.1, 0.55))
    assert separation(PAIRS) == pytest.approx(won / 8)
    assert separation([(0.5, True)]) is separation([(0.5, False)]) is None


def test_tables_and_drawing() -> None:
    text = tables.by_part(LINES)
    assert "| 0.95 to 0.99 | 100% of 12 | - |" in text
    assert "| 0.4 to 0.6 | 50% of 2 | - |" in text
    assert "| detect | `moondream` | as trained | 14 | 92.9% |" in tables.by_model(LINES)
    root = ElementTree.fromstring(tables.drawing(LINES))
    dots = [one for one in root.iter() if one.tag.endswith("circle")]
    assert len(dots) == 2, "parts of fewer than ten are not drawn"
    assert "detect (14)" in "".join(root.itertext())


def test_a_spoilt_picture_has_its_size() -> None:
    picture = Image.new("RGB", (64, 40), (200, 0, 0))
    made = [spoil(picture, random.Random(seed)) for seed in range(12)]
    assert {one.size for one in made} == {(64, 40)}
    assert sum(one.tobytes() != picture.tobytes() for one in made) >= 3


def test_answers_are_judged() -> None:
    """The sample weights know scenes as trained, and are right and sure there."""
    model = load("moondream", SAMPLES / "moondream", device="cpu", dtype="float32")
    found = [one for one in judged("moondream", model, 4, 5) if not one.spoilt]
    assert {one.skill for one in found} == {"caption", "answer", "flag", "detect", "point"}
    sure = [one for one in found if one.skill != asking.FLAG]
    assert all(0 <= one.score <= 1 for one in found)
    assert sum(one.right and one.score > 0.8 for one in sure) >= 0.8 * len(sure)
    flags = [one for one in found if one.skill == asking.FLAG]
    assert all(one.right == (one.score > 0.5) for one in flags)
