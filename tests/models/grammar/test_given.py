"""The probabilities of given texts, by every model that answers questions: alone, in a batch, and with their ends."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Grammar, Job, Sampling, Task
from looksee.models.loading import load
from looksee.models.registry import REGISTRY, prompts
from looksee.models.weights.source import SAMPLES
from samples.world import exercises, scenes
from tests.models.mixing import decode_mixed

NAMES = [name for name, spec in REGISTRY.items() if Task.CLASSIFY in spec.tasks]
COLOURS = ["red", "green", "blue", "yellow", "black"]


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Any:
    made: Any = load(request.param, SAMPLES / request.param, device="cpu", dtype="float32")
    made.name = request.param
    return made


def asked(seed: int) -> tuple[bytes, str, str]:
    """A picture, a question about a colour in it, and the answer."""
    rng = random.Random(f"given:{seed}")
    while True:
        composed = scenes.compose(rng, count=2, sides=(120, 320))
        for question, answer in exercises.questions(composed, rng):
            if question.startswith("What color") and answer in COLOURS:
                return scenes.encode(scenes.draw(composed, rng), rng, ("PNG",)), question, answer


def row(model: Any, data: bytes, question: str, label: str | None, **more: Any) -> Any:
    grammar = None if label is None else Grammar("given", label)
    words = prompts.query(model.name, question)
    return model.prepare(Job(Task.QUERY, (data,), words, 30, sampling=Sampling(logprobs=0), grammar=grammar, **more))


def answers(model: Any, *rows: Any) -> list[Any]:
    decode_mixed(model, rows, random.Random(len(rows)))
    return [model.answer(one) for one in rows]


def test_the_likeliest_of_all_labels_is_what_the_model_answers(model: Any) -> None:
    for seed in range(3):
        data, question, right = asked(seed)
        together = answers(model, *(row(model, data, question, label) for label in COLOURS))
        assert [(one.text.lower(), one.finish) for one in together] == [(label, "stop") for label in COLOURS]
        sums = [sum(token.chosen.logprob for token in one.tokens) for one in together]
        assert COLOURS[sums.index(max(sums))] == right
        assert sum(map(math.exp, sums)) <= 1
        (alone,) = answers(model, row(model, data, question, right))
        assert alone.tokens == pytest.approx(together[COLOURS.index(right)].tokens) or all(
            one.chosen.logprob == pytest.approx(other.chosen.logprob, abs=1e-3)
            for one, other in zip(alone.tokens, together[COLOURS.index(right)].tokens, strict=True)
        )


def test_its_tokens_are_those_that_it_would_be_answered_with_and_the_end(model: Any) -> None:
    data, question, right = asked(7)
    (free,), (given,) = (
        answers(model, row(model, data, question, None)),
        answers(model, row(model, data, question, right)),
    )
    assert free.text == right
    assert [one.chosen.data for one in given.tokens[:-1]] == [one.chosen.data for one in free.tokens]
    for one, other in zip(given.tokens, free.tokens, strict=False):
        assert one.chosen.logprob == pytest.approx(other.chosen.logprob, abs=1e-3)
    assert given.tokens[-1].chosen.logprob < 0
    assert given.new_tokens == len(given.tokens)
    # A text that goes on where the model ends is less likely for that, by the end that was not said.
    (longer,) = answers(model, row(model, data, question, f"{right} or blue"))
    assert longer.tokens[len(free.tokens)].chosen.logprob < given.tokens[-1].chosen.logprob


def test_a_picture_is_encoded_once_for_all_labels(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data, question, _ = asked(11)
    encoded: list[int] = []
    owner, name = (model.encoder, "crop_features") if model.name == "moondream" else (model, "image_features")
    encode = getattr(owner, name)

    def counted(*given: Any) -> Any:
        encoded.append(1)
        return encode(*given)

    monkeypatch.setattr(owner, name, counted)
    model.prefill([row(model, data, question, label) for label in COLOURS])
    assert len(encoded) == 1


def test_a_text_beside_other_forms_in_a_batch(model: Any) -> None:
    data, question, right = asked(13)
    choices = model.prepare(
        Job(
            Task.QUERY,
            (data,),
            prompts.query(model.name, question),
            10,
            grammar=Grammar("choices", json.dumps(["zebra"])),
        )
    )
    said, given = answers(model, choices, row(model, data, question, right))
    assert said.text == "zebra"
    assert (given.text.lower(), given.finish) == (right, "stop")


def test_a_label_with_a_control_token_is_refused(model: Any) -> None:
    tokenizer = model.grammars._tokenizer
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    data, question, _ = asked(17)
    for token in added[:5]:
        with pytest.raises(errors.InvalidValue) as raised:
            row(model, data, question, f"a {token}")
        assert raised.value.param == "labels"
