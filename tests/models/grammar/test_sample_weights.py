"""The sample weights of Gemma, which have not learnt JSON of any schema, are forced to write it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from looksee.core.tasks import GREEDY, Grammar, Job, Sampling, Task
from looksee.http.inputs.forced import schemas
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.weights.source import SAMPLES
from tests.models.grammar.schemas import schema
from tests.models.mixing import decode_mixed
from tests.support import pictures

SCENE = pictures.scene("forced")[0]


@pytest.fixture(scope="module")
def model() -> Any:
    return load("gemma", SAMPLES / "gemma", device="cpu", dtype="float32")


def test_answers_are_of_their_schemas(model: Any) -> None:
    wanted = [schema(seed) for seed in range(16)]
    words = prompts.query("gemma", f"What is there?\n\n{prompts.in_json()}")
    rows = [
        model.prepare(
            Job(
                Task.QUERY,
                (SCENE,),
                words,
                max_new_tokens=100,
                sampling=Sampling(1.0, seed=seed) if seed % 2 else GREEDY,
                grammar=Grammar("json_schema", json.dumps(schemas.forced(one))),
            )
        )
        for seed, one in enumerate(wanted)
    ]
    decode_mixed(model, rows, random.Random(1))
    answers = [model.answer(row) for row in rows]
    ended = [(answer, one) for answer, one in zip(answers, wanted, strict=True) if answer.finish == "stop"]
    assert len(ended) >= 8
    assert all(Draft202012Validator(one).is_valid(json.loads(answer.text)) for answer, one in ended)
    assert {answer.finish for answer in answers} <= {"stop", "length"}


@pytest.mark.parametrize("stop", [(), ("e",)])
def test_choices_end_at_once_and_stop_strings_end_them_too(model: Any, stop: tuple[str, ...]) -> None:
    grammar = Grammar("choices", '["a lighthouse", "two ships"]')
    row = model.prepare(Job(Task.QUERY, (SCENE,), "What is it?", grammar=grammar, stop=stop))
    decode_mixed(model, [row], random.Random(1))
    answer = model.answer(row)
    assert answer.finish == "stop"
    texts = ("a lighthouse", "two ships")
    assert answer.text in [text.partition("e")[0] if stop else text for text in texts]
    assert not {row.tokens[-1]} & model.eos_ids
