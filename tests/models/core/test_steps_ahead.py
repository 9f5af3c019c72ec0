"""Steps that are launched before the host has read the tokens of the one before say what steps in turn say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from looksee.core.tasks import GREEDY, Sampling
from looksee.models.core.graphs import NoGraphs
from looksee.models.core.pending import PendingTokens
from looksee.models.token_scores import token_scores
from tests.models.core.cases import NAMES, SEEDS, mixed, told
from tests.models.core.watching import DeviceCalls
from tests.models.mixing import decode_mixed, failing, run_by_engine, without_ended


class Order:
    """What a model does with steps and tokens, in order; `pending` counts the tokens that steps did not wait for."""

    def __init__(self, case: Any, patch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.pending = 0
        runner, read = case.model.step_runner, PendingTokens.read
        step = runner.step

        def stepped(*arguments: Any) -> Tensor:
            self.made.append("step")
            hidden: Tensor = step(*arguments)
            return hidden

        def was_read(tokens: PendingTokens[Any]) -> list[int | None]:
            self.made.append("read")
            return read(tokens)

        embed = case.model._embed_pending

        def embedded(rows: Sequence[Any], pending: PendingTokens[Any]) -> Tensor:
            self.pending += 1
            embeddings: Tensor = embed(rows, pending)
            return embeddings

        patch.setattr(runner, "step", stepped)
        patch.setattr(case.model, "_embed_pending", embedded)
        patch.setattr(PendingTokens, "read", was_read)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_they_say_the_same(name: str, static: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these makes it fail: a position or a random number without the pending token, a row of another batch's
    tokens, rows in another order than the storage's, storage that is shrunk to what the host knows, a row whose end was
    read that gets a token more.
    """
    case = mixed(name)
    case.use(monkeypatch, NoGraphs() if static else None)
    monkeypatch.setattr(case.model, "steps_ahead", 1)
    order = Order(case, monkeypatch)
    assert case.wrong(*SEEDS) == 0
    if name == "moondream":  # where rows of places are, steps wait
        assert case.chosen(case.model.predictable).wrong(*SEEDS) == 0
    assert order.pending > 20


@pytest.mark.parametrize("name", NAMES)
def test_drawn_and_penalized_tokens_are_the_same_alone_and_beside_others(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that penalizes needs to know its tokens: the steps of its batch wait."""
    case = mixed(name)
    rules = [GREEDY, Sampling(1.0, top_p=0.95), Sampling(0.8, min_p=0.05, repetition_penalty=1.3)]
    rules.append(Sampling(presence_penalty=0.5, frequency_penalty=0.5, logit_bias=((7, 1.5),)))
    found = []
    for ahead, most in ((0, 1), (0, 6), (1, 6)):
        monkeypatch.setattr(case.model, "steps_ahead", ahead)
        rows = [fresh() for fresh in case.fresh]
        for number, row in enumerate(rows):
            row.sampling, row.seed = rules[number % len(rules)], number
        decode_mixed(case.model, rows, random.Random(2), most=most)
        found.append([told(row) for row in rows])
    assert found[0] == found[1] == found[2]
    assert found[0] != case.tokens


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_launched_before_the_tokens_of_the_last_one_are_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = mixed(name)
    monkeypatch.setattr(case.model, "steps_ahead", 1)
    order = Order(case, monkeypatch)
    rows = [fresh() for fresh in case.chosen(case.model.predictable).fresh[:4]]
    batch = case.model.prefill(rows)
    case.model.step(batch)
    case.model.sample(batch)
    assert [len(row.tokens) for row in rows] == [0] * len(rows)
    with DeviceCalls(uploads=True):  # fails where the host waits
        case.model.step(batch)
    case.model.sample(batch)
    running, batch = without_ended(case.model, rows, batch)
    while running:
        case.model.step(batch)
        case.model.sample(batch)
        running, batch = without_ended(case.model, running, batch)
    assert order.made[:4] == ["step", "step", "read", "step"]
    # A row that ends by a token is stepped once more, before its end is read; one that ends by length is not.
    assert order.made.count("step") == max(len(row.tokens) + (row.finish == "stop") for row in rows)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
@pytest.mark.parametrize("name", NAMES)
def test_tokens_that_a_failure_takes_along_are_had_again(
    name: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verbs fail now and then beside pending tokens; every row says what it says alone, and no row of the storage is
    lost.
    """
    case = mixed(name)
    case.use(monkeypatch, None)
    monkeypatch.setattr(case.model, "steps_ahead", 1)
    rows = [fresh() for fresh in case.fresh]
    verbs = ["step", "sample", "keep_rows"]
    if error is MemoryError:  # with another one the rows that rejoin after a failure would get it
        verbs.append("add_rows")
    failures = failing(case.model, verbs, error, monkeypatch)
    finished = run_by_engine(case.model, rows)
    assert len(failures) >= 4
    assert len(finished) == len(rows)
    assert [told(row) for row in rows] == case.tokens
    assert case.model.step_runner.storage.is_free(0, 10**6)


def test_a_row_that_is_not_finite_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    case = mixed("gemma")
    monkeypatch.setattr(case.model, "steps_ahead", 1)
    rows = [fresh() for fresh in case.fresh[:3]]
    batch = case.model.prefill(rows)
    case.model.step(batch)
    with torch.inference_mode():
        batch.hidden[1] = torch.nan
    case.model.sample(batch)
    case.model.step(batch)
    case.model.sample(batch)
    assert [row.error is None for row in rows] == [True, False, True]
    batch = case.model.keep_rows(batch, [0, 2])
    while any(row.finish is None for row in (rows[0], rows[2])):
        case.model.step(batch)
        case.model.sample(batch)
    assert [told(rows[number]) for number in (0, 2)] == [case.tokens[number] for number in (0, 2)]


def scored(row: Any) -> list[list[float]]:
    """The log-probability of each token, and those of the likeliest in its place."""
    found = token_scores(row, row.tokens, lambda number: str(number).encode())
    assert all(int(token.chosen.data) == own for token, own in zip(found, row.tokens, strict=True))
    return [[token.chosen.logprob, *(other.logprob for other in token.alternatives)] for token in found]


@pytest.mark.parametrize("name", NAMES)
def test_tokens_probabilities_are_the_same_alone_and_beside_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside rows that do not ask, too. Each of these makes it fail: a number of a token without those that are
    pending, the row of another's place, or what was told of a step that was lost.
    """
    case = mixed(name).chosen(mixed(name).model.predictable)
    found = []
    for ahead, most in ((0, 1), (0, 6), (1, 6)):
        monkeypatch.setattr(case.model, "steps_ahead", ahead)
        rows = [fresh() for fresh in case.fresh]
        for row in rows[::2]:
            row.sampling = replace(row.sampling, logprobs=3)
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
