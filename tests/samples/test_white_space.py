"""The sample weights answer a question the same however its words are spaced."""

from __future__ import annotations

import random
from typing import Any

import pytest

from looksee.core.tasks import Job, Task
from looksee.core.texts import tidied
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.weights.source import SAMPLES
from tests.models.mixing import decode_mixed
from tests.support import pictures

QUESTION = "How many shapes are there?"
SPACED = (
    "How many\r\nshapes are there?",
    " How many shapes are there? ",
    "How many\u00a0shapes are there?\n",
    "How  many shapes\tare there?",
)
MODELS = {"blip2": SPACED, "gemma": SPACED[1:3], "intern_vlm": SPACED[1:3], "moondream": SPACED}


@pytest.mark.parametrize("name", MODELS)
def test_spaces_change_no_answer(name: str) -> None:
    model: Any = load(name, SAMPLES / name, device="cpu", dtype="float32")
    data = pictures.scene("white space")[0]
    words = [tidied(prompts.query(name, question)) for question in (QUESTION, *MODELS[name])]
    rows = [model.prepare(Job(Task.QUERY, (data,), prompt, 8)) for prompt in words]
    decode_mixed(model, rows, random.Random(0))
    answers = {model.answer(row).text for row in rows}
    assert len(answers) == 1
    assert answers != {""}
