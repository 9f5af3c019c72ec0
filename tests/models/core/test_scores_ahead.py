"""Tokens' probabilities are the same alone, beside rows that do not ask, and of steps that ran ahead of the host."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from looksee.models.token_scores import token_scores
from tests.models.core.cases import NAMES, mixed, told
from tests.models.mixing import decode_mixed

_MOST = 3


def scored(row: Any) -> list[list[float]]:
    found = token_scores(row, row.tokens, lambda number: str(number).encode())
    assert all(int(token.chosen.data) == own for token, own in zip(found, row.tokens, strict=True))
    return [[token.chosen.logprob, *(other.logprob for other in token.alternatives)] for token in found]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_the_same_alone_and_beside_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these makes it fail: a number of a token without those that are pending, the row of another's place, or
    what was told of a step that was lost.
    """
    case = mixed(name).chosen(mixed(name).model.predictable)
    found = []
    for ahead, most in ((0, 1), (0, 6), (1, 6)):
        monkeypatch.setattr(case.model, "steps_ahead", ahead)
        rows = [fresh() for fresh in case.fresh]
        for row in rows[::2]:
            row.sampling = replace(row.sampling, logprobs=_MOST)
        decode_mixed(case.model, rows, random.Random(2), most=most)
        assert [told(row) for row in rows] == case.tokens
        assert not any(row.scores for row in rows[1::2])
        found.append([scored(row) for row in rows[::2]])
    for other in found[1:]:
        for mine, alone in zip(other, found[0], strict=True):
            assert len(mine) == len(alone)
            for values, expected in zip(mine, alone, strict=True):
                assert values == pytest.approx(expected, abs=2e-3)
    own = [values for row in found[0] for values in row]
    assert own
    assert all(values[1] >= values[2] >= values[3] for values in own)
    assert all(values[0] == values[1] for values in own), "the likeliest was chosen"
