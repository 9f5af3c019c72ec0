"""Rows that are forced into a form, in batches that change: what each says is what it says alone, and it is of its
form.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from looksee.core.tasks import GREEDY, Grammar, Sampling
from looksee.models.moondream.rows import TextRow
from tests.models.core.cases import mixed, told
from tests.models.mixing import decode_mixed, failing, run_by_engine

FORMS = [
    None,
    Grammar("choices", '["yes", "no", "not at all"]'),
    Grammar("json_object"),
    Grammar("regex", "[a-z]{3,9}-[0-9]{2}"),
    Grammar("json_schema", '{"type": "array", "items": {"enum": [0]}, "minItems": 3, "maxItems": 5}'),
]
RULES = [GREEDY, Sampling(1.5), Sampling(0.8, min_p=0.05)]  # without penalties, for which batches wait anyhow
ABLE = ["blip2", "gemma", "moondream"]


def forced_rows(model: Any, fresh: Sequence[Any]) -> list[Any]:
    """The rows, every fifth free; Moondream's places stay as they are."""
    rows = [make() for make in fresh]
    for number, row in enumerate(rows):
        row.sampling, row.seed = RULES[number % len(RULES)], number
        if not hasattr(row, "special_ids") or isinstance(row, TextRow):
            row.matcher = model.grammars.matcher(FORMS[number % len(FORMS)])
            row.max_new_tokens = min(24, row.max_new_tokens)
    return rows


def of_its_form(model: Any, row: Any, form: Grammar | None) -> bool:
    text = model.answer(row).text
    if form is None or row.finish == "length":
        return True
    if form.kind == "choices":
        return text in json.loads(form.text)
    if form.kind == "regex":
        return len(text) >= 6 and text[-3] == "-" and text[-2:].isdigit()
    content = json.loads(text)
    return isinstance(content, dict) if form.kind == "json_object" else set(content) == {0} and 3 <= len(content) <= 5


@pytest.mark.parametrize("name", ABLE)
def test_they_are_the_same_alone_and_beside_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = mixed(name)
    found = []
    for ahead, most in ((0, 1), (0, 6), (1, 6)):
        monkeypatch.setattr(case.model, "steps_ahead", ahead)
        rows = forced_rows(case.model, case.fresh)
        assert decode_mixed(case.model, rows, random.Random(2), most=most) > 0 or most == 1
        found.append([told(row) for row in rows])
        assert [row.error for row in rows] == [None] * len(rows)
        assert all(of_its_form(case.model, row, FORMS[n % 5]) for n, row in enumerate(rows) if row.matcher is not None)
        ended = [row for row in rows if row.matcher is not None and row.finish == "stop"]
        assert any(row.is_over for row in ended)
        assert not any(row.matcher.is_over(row.forced[:-1]) for row in ended)  # not even by an end's token
        assert {row.finish for row in rows if row.matcher is not None} == {"stop", "length"}
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
@pytest.mark.parametrize("name", ["gemma", "moondream"])
def test_they_go_on_after_failures(name: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    case = mixed(name)
    alone = forced_rows(case.model, case.fresh)
    decode_mixed(case.model, alone, random.Random(2), most=1)
    failures = failing(case.model, ("step", "sample", "keep_rows"), error, monkeypatch)
    rows = forced_rows(case.model, case.fresh)
    finished = run_by_engine(case.model, rows)
    assert len(failures) >= 3
    assert len(finished) == len(rows)
    assert [told(row) for row in rows] == [told(row) for row in alone]


def test_a_matcher_follows_its_tokens_back_and_forth() -> None:
    model = mixed("gemma").model
    matcher = model.grammars.matcher(Grammar("choices", '["no", "not at all"]'))
    ids = [model.tokenizer.encode(letter, add_special_tokens=False)[-1] for letter in "not"]
    fresh = [matcher.allowed(ids[:count]) for count in range(4)]
    for count in (3, 1, 0, 2, 3):
        again = model.grammars.matcher(Grammar("choices", '["no", "not at all"]'))
        assert matcher.allowed(ids[:count]) == again.allowed(ids[:count]) == fresh[count]
    assert matcher.allowed(ids[:2]) != fresh[3]
