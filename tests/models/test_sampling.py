"""The next token by a row's own rule: greedy is the likeliest, drawn ones follow the distribution that is left."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from looksee.core import errors
from looksee.core.tasks import GREEDY, Sampling
from looksee.models.interface import Row
from looksee.models.sampling import check_bias, choose, read_indices, seed_of

CHANCES = torch.tensor([0.05, 0.4, 0.1, 0.3, 0.15])
LOGITS = CHANCES.log()


def row(rule: Sampling, seed: int = 0, tokens: int = 0) -> Row:
    made = Row(cost=1, max_new_tokens=9, prompt_tokens=1, sampling=rule, seed=seed)
    made.tokens += [0] * tokens
    return made


def chosen(logits: torch.Tensor, rows: list[Row], pending: int = 0) -> list[int | None]:
    return read_indices(choose(logits, rows, [pending] * len(rows)))


def frequencies(rule: Sampling, logits: torch.Tensor = LOGITS, count: int = 4000) -> dict[int, float]:
    rows = [row(rule, seed) for seed in range(count)]
    drawn = Counter(chosen(logits.expand(count, -1), rows))
    return {token: number / count for token, number in drawn.items() if token is not None}


def test_greedy_takes_the_likeliest_whatever_else_is_set() -> None:
    rules = [GREEDY, Sampling(0.0, 0.1, 3, 5)]
    assert chosen(LOGITS.expand(2, -1), [row(rule) for rule in rules]) == [1, 1]


def test_draws_follow_the_distribution() -> None:
    found = frequencies(Sampling(1.0))
    for token, chance in enumerate(CHANCES.tolist()):
        assert found[token] == pytest.approx(chance, abs=0.03)


def test_a_temperature_sharpens_or_flattens() -> None:
    found = frequencies(Sampling(0.5))
    expected = CHANCES**2 / (CHANCES**2).sum()
    for token, chance in enumerate(expected.tolist()):
        assert found.get(token, 0) == pytest.approx(chance, abs=0.03)


def test_top_k_leaves_the_k_likeliest() -> None:
    found = frequencies(Sampling(1.0, top_k=2))
    assert set(found) == {1, 3}
    assert found[1] == pytest.approx(4 / 7, abs=0.03)
    assert set(frequencies(Sampling(1.0, top_k=1))) == {1}
    assert set(frequencies(Sampling(1.0, top_k=99))) == set(range(5))


@pytest.mark.parametrize(
    ("top_p", "left"), [(0.39, {1}), (0.41, {1, 3}), (0.69, {1, 3}), (0.84, {1, 3, 4}), (1.0, set(range(5)))]
)
def test_top_p_leaves_the_likeliest_up_to_the_one_that_crosses_it(top_p: float, left: set[int]) -> None:
    assert set(frequencies(Sampling(1.0, top_p=top_p))) == left


def test_rows_of_different_rules_share_a_step_and_none_depends_on_the_others() -> None:
    torch.manual_seed(3)
    logits = torch.randn(6, 50)
    rules = [GREEDY, Sampling(1.0), Sampling(0.7, 0.8), Sampling(2.0, 1.0, 4), GREEDY, Sampling(1.0, 0.5, 9)]
    rows = [row(rule, seed=number, tokens=number) for number, rule in enumerate(rules)]
    together = chosen(logits, rows)
    assert together == [chosen(logits[number : number + 1], [rows[number]])[0] for number in range(6)]


def test_a_seed_repeats_and_each_token_has_a_number_of_its_own() -> None:
    rule = Sampling(1.0)
    flat = torch.zeros(1, 1000)
    draws = [chosen(flat, [row(rule, seed=9, tokens=place)])[0] for place in range(20)]
    assert draws == [chosen(flat, [row(rule, seed=9, tokens=place)])[0] for place in range(20)]
    assert len(set(draws)) > 15
    assert draws[1:] == [chosen(flat, [row(rule, seed=9, tokens=place)], pending=1)[0] for place in range(19)]
    assert seed_of(Sampling(1.0, seed=5)) == 5
    assert seed_of(Sampling(1.0)) != seed_of(Sampling(1.0))


def test_a_token_without_a_chance_is_never_drawn() -> None:
    logits = torch.tensor([[0.0, float("-inf"), 0.0]])
    assert {chosen(logits, [row(Sampling(1.0), seed)])[0] for seed in range(300)} == {0, 2}


def test_a_top_p_of_nothing_leaves_the_likeliest() -> None:
    assert set(frequencies(Sampling(1.0, top_p=0.0), count=50)) == {1}


def test_logits_that_are_not_finite_have_no_token() -> None:
    """For greedy rows and for drawn ones, whose neighbours get what they get alone; a banned id is no such case."""
    spoilt = LOGITS.clone()
    spoilt[2] = torch.nan
    overflown = LOGITS.clone()
    overflown[4] = torch.inf
    banned = LOGITS.clone()
    banned[1] = -torch.inf
    nothing = torch.full_like(LOGITS, torch.nan)
    logits = torch.stack([LOGITS, spoilt, overflown, nothing, banned])
    assert chosen(logits, [row(GREEDY)] * 5) == [1, None, None, None, 3]
    drawn = [row(Sampling(1.0), seed) for seed in range(5)]
    (first,), (last,) = (chosen(logits[[index]], [drawn[index]]) for index in (0, 4))
    assert chosen(logits, drawn) == [first, None, None, None, last]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_penalties_are_for_what_the_answer_has(temperature: float) -> None:
    """Of token 1 there are two, of token 3 one; the logits of both are changed by each kind as it says."""
    logits = torch.tensor([[0.5, 2.0, 0.0, -1.0, 0.1]])

    def adjusted(**rule: float) -> list[Any]:
        changed = logits.clone()
        made = row(Sampling(temperature, **rule))  # type: ignore[arg-type]
        made.tokens += [1, 3, 1]
        choose(changed, [made], [0])
        return [pytest.approx(value) for value in changed[0].tolist()]

    assert adjusted() == [0.5, 2.0, 0.0, -1.0, 0.1]
    assert adjusted(repetition_penalty=2.0) == [0.5, 1.0, 0.0, -2.0, 0.1]
    assert adjusted(presence_penalty=0.25) == [0.5, 1.75, 0.0, -1.25, 0.1]
    assert adjusted(frequency_penalty=0.25) == [0.5, 1.5, 0.0, -1.25, 0.1]
    assert adjusted(repetition_penalty=2.0, presence_penalty=1, frequency_penalty=-1) == [0.5, 2.0, 0.0, -2.0, 0.1]


def test_a_penalty_ends_a_repetition_and_leaves_the_neighbours_alone() -> None:
    rows = [row(GREEDY), row(Sampling(repetition_penalty=1.5)), row(GREEDY)]
    for _ in range(5):
        for one, token in zip(rows, chosen(LOGITS.neg().reciprocal().expand(3, -1).clone(), rows), strict=True):
            assert token is not None
            one.tokens.append(token)
    assert rows[0].tokens == rows[2].tokens == [1] * 5
    assert len(set(rows[1].tokens)) > 1


def test_a_bias_is_added_and_bans() -> None:
    rules = [GREEDY, Sampling(logit_bias=((2, 100.0),)), Sampling(logit_bias=((1, -100.0),)), Sampling(logit_bias=())]
    assert chosen(LOGITS.expand(4, -1).clone(), [row(rule) for rule in rules]) == [1, 2, 3, 1]


def test_a_bias_of_no_token_is_refused() -> None:
    check_bias(Sampling(logit_bias=((0, 1.0), (4, 1.0))), 5)
    for token in (-1, 5):
        with pytest.raises(errors.InvalidValue, match="0 to 4"):
            check_bias(Sampling(logit_bias=((token, 1.0),)), 5)


def test_min_p_leaves_what_is_not_much_less_likely() -> None:
    assert set(frequencies(Sampling(1.0, min_p=0.7))) == {1, 3}
    assert set(frequencies(Sampling(1.0, min_p=0.3))) == {1, 3, 4}
    assert set(frequencies(Sampling(1.0, min_p=1.0))) == {1}


def test_what_is_not_finite_is_so_with_penalties_too() -> None:
    spoilt = LOGITS.clone()
    spoilt[2] = torch.nan
    made = row(Sampling(repetition_penalty=1.5), tokens=2)
    assert chosen(spoilt[None], [made]) == [None]
