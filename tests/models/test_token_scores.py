"""Tokens' probabilities are the model's own, each row's by itself, and cost a row that does not ask nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from looksee.core.scoring.tokens import LEAST_LOGPROB
from looksee.core.tasks import GREEDY, Sampling
from looksee.models.interface import Row
from looksee.models.sampling import choose, read_indices
from looksee.models.token_scores import StepScores, token_scores

CHANCES = torch.tensor([0.05, 0.4, 0.1, 0.3, 0.15])
ASKING = replace(GREEDY, logprobs=2)


def row(rule: Sampling = ASKING, tokens: int = 0) -> Row:
    made = Row(cost=1, max_new_tokens=9, prompt_tokens=1, sampling=rule, seed=3)
    made.tokens += [0] * tokens
    return made


def step(rows: list[Row], logits: torch.Tensor | None = None) -> None:
    """One whole step: each row gets its token."""
    logits = CHANCES.log().expand(len(rows), -1).clone() if logits is None else logits.clone()
    for one, token in zip(rows, read_indices(choose(logits, rows, [0] * len(rows))), strict=True):
        assert token is not None
        one.tokens.append(token)


def told(one: Row, start: int = 0) -> list[Any]:
    """Tokens and alternatives, as pairs of id and chance."""
    found = token_scores(one, one.tokens[start:], lambda number: bytes([number]), start=start)
    return [
        [
            (chance.data[0], pytest.approx(torch.tensor(chance.logprob).exp().item(), abs=1e-5))
            for chance in (token.chosen, *token.alternatives)
        ]
        for token in found
    ]


def test_they_are_the_models_own_and_the_likeliest_come_first() -> None:
    one = row()
    step([one])
    assert told(one) == [[(1, 0.4), (1, 0.4), (3, 0.3)]]


@pytest.mark.parametrize(
    "rule",
    [
        Sampling(2.0, seed=3),
        Sampling(repetition_penalty=9.0),
        Sampling(logit_bias=((0, 50.0),)),
        Sampling(1.0, top_k=1, seed=3),
    ],
    ids=["temperature", "penalty", "bias", "top_k"],
)
def test_what_changes_the_choice_does_not_change_them(rule: Sampling) -> None:
    one = row(replace(rule, logprobs=5), tokens=0)
    for _ in range(2):
        step([one])
    for token, (own, *others) in zip(one.tokens, told(one), strict=True):
        assert own == (token, pytest.approx(CHANCES[token].item(), abs=1e-5))
        assert [number for number, _ in others] == [1, 3, 4, 2, 0]


def test_each_row_has_its_own_and_others_have_none() -> None:
    torch.manual_seed(2)
    logits = torch.randn(4, 9)
    rules = [ASKING, GREEDY, replace(GREEDY, logprobs=0), replace(GREEDY, logprobs=9)]
    rows = [row(rule) for rule in rules]
    step(rows, logits)
    assert [len(one.scores) for one in rows] == [1, 0, 1, 1]
    assert [len(alternatives) for (alternatives,) in map(told, (rows[0], rows[2], rows[3]))] == [3, 1, 10]
    assert told(rows[1]) == []
    for number in (0, 2, 3):
        alone = row(rules[number])
        step([alone], logits[number : number + 1])
        assert told(alone) == told(rows[number])


def test_nobody_who_does_not_ask_is_computed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StepScores, "__init__", lambda *_: pytest.fail("something was computed"))
    step([row(GREEDY), row(Sampling(1.0))])


def test_those_of_tokens_that_a_failure_took_are_told_anew() -> None:
    """Two steps ran ahead of what the row has, and were lost: the row goes on behind its tokens."""
    one = row()
    step([one])
    for pending in (0, 1):
        choose(CHANCES.flip(0).log()[None].clone(), [one], [pending])
    assert len(one.scores) == 3
    logits = torch.tensor([[9.0, 0.0, 0.0, 0.0, 0.0]])
    step([one], logits)
    assert len(one.scores) == 2
    assert [token[0][0] for token in told(one)] == [1, 0]
    assert told(one)[1][0][1] == pytest.approx(logits.softmax(-1)[0, 0].item(), abs=1e-5)


def test_those_of_a_later_part_of_a_row_and_those_that_are_no_text() -> None:
    one = row()
    for number, likeliest in enumerate((4, 0, 2)):
        step([one], torch.eye(5)[likeliest][None] * (1 + number))
    assert told(one, start=1) == told(one)[1:]
    assert [token[0][0] for token in told(one, start=1)] == [0, 2]
    found = token_scores(one, one.tokens, lambda number: bytes([number]), passed_over={0})
    assert [token.chosen.data[0] for token in found] == [4, 2]


def test_what_may_not_be_written_is_a_number_all_the_same() -> None:
    one = row(replace(GREEDY, logprobs=5))
    step([one], torch.tensor([[1.0, -torch.inf, 1.0, 1.0, 1.0]]))
    (found,) = token_scores(one, one.tokens, lambda number: bytes([number]))
    assert found.alternatives[-1].logprob == LEAST_LOGPROB
    assert found.chosen.logprob == pytest.approx(-1.386294, abs=1e-5)
