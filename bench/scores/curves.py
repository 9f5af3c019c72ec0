"""From scores and what was right: how often it is, by how high the score was, and how good the score is as such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

EDGES = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)  # of the parts that scores are counted in
Pairs = Sequence[tuple[float, bool]]  # a score, and whether what has it is right


@dataclass(frozen=True, slots=True)
class CurvePart:
    """Of the scores from `low` to below `high`, or to `high` itself where that is 1."""

    low: float
    high: float
    count: int
    mean: float
    right: float


def parts(pairs: Pairs) -> list[CurvePart]:
    """The parts that have any."""
    found = []
    for low, high in pairwise(EDGES):
        own = [(score, right) for score, right in pairs if low <= score < high or (score == high == 1)]
        if own:
            mean = sum(score for score, _ in own) / len(own)
            found.append(CurvePart(low, high, len(own), mean, sum(right for _, right in own) / len(own)))
    return found


def separation(pairs: Pairs) -> float | None:
    """The area under the ROC curve: how often a right one scores higher than a wrong one. None without either."""
    ranked = sorted(pairs)
    wrong = sum(not right for _, right in ranked)
    rights = len(ranked) - wrong
    if not wrong or not rights:
        return None
    below, won, place = 0, 0.0, 0
    while place < len(ranked):
        same = [right for score, right in ranked[place:] if score == ranked[place][0]]
        bad = same.count(False)
        won += same.count(True) * (below + bad / 2)
        below, place = below + bad, place + len(same)
    return won / wrong / rights


def calibration_error(pairs: Pairs) -> float:
    """The mean distance between a score and how often such scores are right, over the parts."""
    return sum(part.count * abs(part.mean - part.right) for part in parts(pairs)) / max(1, len(pairs))
