"""Captions of at most so many words and without an opening, by every model: alone, in a batch, and as they come."""

from __future__ import annotations

import random
from typing import Any

import pytest

from looksee.core.tasks import Job, Sampling, Task
from looksee.core.texts import Wording
from looksee.models.registry import prompts
from looksee.models.texts import openings
from tests.models.mixing import decode_mixed
from tests.support import pictures


@pytest.fixture(autouse=True)
def opening_of_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples' captions have none that a real captioner writes."""
    monkeypatch.setattr(openings, "_FIRST", openings._FIRST | {"two", "three", "four"})
    real = openings.opening

    def opening(text: str, *, complete: bool) -> int | None:
        found = real(text, complete=complete)
        return len("a ") if found == 0 and text.startswith("a ") else found

    monkeypatch.setattr(openings, "opening", opening)


def row(model: Any, wording: Wording, number: int = 0) -> Any:
    prompt = "" if model.name == "moondream" else prompts.caption(model.name)
    data = pictures.scene(f"wording-{number}", count=3)[0]
    how = Sampling(logprobs=0)
    return model.prepare(Job(Task.CAPTION, (data,), prompt, 60, sampling=how, wording=wording))


def answer(model: Any, row: Any) -> Any:
    decode_mixed(model, [row], random.Random(1))
    return model.answer(row)


def said(answer: Any) -> str:
    """The text of its tokens, without spaces: BLIP's have some before punctuation."""
    return spaceless(b"".join(token.chosen.data for token in answer.tokens).decode())


def spaceless(text: str) -> str:
    return "".join(text.split())


def test_a_caption_ends_with_its_last_word_and_early(model: Any) -> None:
    whole = answer(model, row(model, Wording()))
    words = whole.text.split()
    assert whole.finish == "stop"
    assert len(words) > 6
    exact = answer(model, row(model, Wording(max_words=len(words))))
    assert (exact.text, exact.finish) == (whole.text, "stop")
    cut = answer(model, row(model, Wording(max_words=4)))
    assert cut.text == " ".join(words[:4]).rstrip(",")
    assert cut.finish == "length"
    assert cut.new_tokens < whole.new_tokens
    assert said(cut) in (spaceless(cut.text), spaceless(cut.text) + ",")


def test_the_text_behind_an_opening_and_its_tokens(model: Any) -> None:
    whole = answer(model, row(model, Wording()))
    bare = answer(model, row(model, Wording(strip_opening=True)))
    rest = whole.text.removeprefix("a ")
    assert bare.text == rest
    assert bare.finish == "stop"
    assert rest != whole.text
    assert said(bare) == spaceless(rest)


def test_they_are_the_same_in_a_batch_and_in_pieces(model: Any) -> None:
    wordings = [Wording(most, strip) for most in (None, 1, 3, 5, 30) for strip in (False, True)]
    alone = []
    for number, wording in enumerate(wordings):
        one, told = row(model, wording, number), ""
        batch = model.prefill([one])
        while one.finish is None:
            model.step(batch)
            model.sample(batch)
            now = model.partial(one)
            assert now.startswith(told)
            told = now
        alone.append(model.answer(one))
        assert alone[-1].text.startswith(told)
    together = [row(model, wording, number) for number, wording in enumerate(wordings)]
    decode_mixed(model, together, random.Random(2))
    for mine, beside in zip(alone, map(model.answer, together), strict=True):
        assert (mine.text, mine.finish, mine.new_tokens) == (beside.text, beside.finish, beside.new_tokens)
