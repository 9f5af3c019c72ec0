"""How likely a yes was, by the token that decides."""

from __future__ import annotations

import math

import pytest

from looksee.core.scoring.tokens import TokenChance, TokenScore, mean_logprob
from looksee.core.scoring.yes_or_no import yes_probability


def token(said: str, chance: float, **others: float) -> TokenScore:
    """`others`: what else might have been said; an underscore stands for a space."""
    chances = {said: chance, **{name.replace("_", " "): value for name, value in others.items()}}
    told = [TokenChance(name.encode(), math.log(value)) for name, value in chances.items()]
    return TokenScore(told[0], tuple(sorted(told, key=lambda one: -one.logprob)))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([token("yes", 0.75, no=0.25)], 0.75),
        ([token("no", 0.9, yes=0.1)], 0.1),
        ([token(" Yes", 0.4, yes=0.2, No=0.2, the=0.2)], 0.75),
        ([token("true", 0.5, false=0.1, no=0.1)], 0.5 / 0.7),
        ([token('{"', 1.0), token("flag", 1.0), token('": ', 1.0), token("true", 0.8, false=0.2)], 0.8),
        ([token("Ye", 0.6, N=0.2), token("s", 1.0)], 0.75),
        ([token("Yes,", 0.6, No=0.2)], 0.75),
        ([token('{"', 1.0), token("f", 1.0), token("lag", 1.0), token('":', 1.0), token("true", 0.8, false=0.2)], 0.8),
        ([token("No", 0.9, Yes=0.1), token(",", 1.0), token(" none", 1.0)], 0.1),
        ([token("no", 0.9, maybe=0.1)], 0.1),  # yes is less likely than the last one that is told
    ],
)
def test_it_is_the_part_of_yes_among_yes_and_no(tokens: list[TokenScore], expected: float) -> None:
    assert yes_probability(tokens) == pytest.approx(expected)


@pytest.mark.parametrize(
    "tokens", [[], [token("north", 0.9, yes=0.1)], [token("No", 0.9), token("rth", 1)], [token("maybe", 0.9, no=0.1)]]
)
def test_without_a_verdict_there_is_none(tokens: list[TokenScore]) -> None:
    assert yes_probability(tokens) is None


def test_a_yes_that_nothing_was_near_is_one() -> None:
    assert yes_probability([TokenScore(TokenChance(b"yes", 0.0))]) == 1


def test_the_mean_of_a_text() -> None:
    assert mean_logprob([token("a", 0.5), token("b", 0.125)]) == pytest.approx(math.log(0.25))
    assert mean_logprob([]) is None


def test_a_part_of_a_character_is_shown_as_one_that_is_missing() -> None:
    assert TokenChance("\u00e9".encode()[:1], 0).text == "\ufffd"
