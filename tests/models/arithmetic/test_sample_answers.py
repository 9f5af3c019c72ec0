"""The sample weights in every arithmetic of CPUs: right answers hardly get fewer."""

from __future__ import annotations

import random
from typing import Any

import pytest
from torch import nn

from looksee.core.tasks import Answer, Job, Task
from looksee.models.arithmetic import machine
from looksee.models.linears import int8
from looksee.models.linears.packed import PackedLinear
from looksee.models.loading import load
from looksee.models.registry import REGISTRY, prompts
from looksee.models.weights.source import SAMPLES
from samples.evaluate import normalised
from samples.questions import EvaluationQuestion, asks
from samples.world import finding
from tests.models.linears.vnni import needs_vnni
from tests.models.mixing import decode_mixed

SCENES = 12
FEWER = 0.02  # of the answers: of the 24 of BLIP none
TASKS = (Task.CAPTION, Task.QUERY, Task.COLLECTIVE, Task.DETECT, Task.POINT)


def job(ask: EvaluationQuestion) -> Job:
    words = {
        Task.CAPTION: prompts.caption(ask.model, ask.words),
        Task.QUERY: prompts.query(ask.model, ask.words),
        Task.COLLECTIVE: prompts.collective(ask.model),
    }
    return Job(Task(ask.task), ask.pictures, words.get(Task(ask.task), ask.words))


def is_right(ask: EvaluationQuestion, answer: Answer) -> bool:
    if isinstance(ask.answer, str):
        return normalised(answer.text) == ask.answer
    if ask.task == Task.DETECT:
        return finding.matched(ask.answer, list(answer.boxes)) == len(ask.answer) == len(answer.boxes)
    return bool(finding.pointed(ask.answer, list(answer.points)))


def right(name: str, questions: list[EvaluationQuestion], dtype: str, layers: int | None) -> int:
    """How many answers are right; checks that the model has so many packed linear layers, None for all it has."""
    model: Any = load(name, SAMPLES / name, device="cpu", dtype=dtype)
    found = {id(part): type(part) for network in model.networks() for part in network.modules()}.values()
    packed = sum(issubclass(kind, PackedLinear) for kind in found)
    assert packed == layers if layers is not None else nn.Linear not in found
    rows = [model.prepare(job(ask)) for ask in questions]
    decode_mixed(model, rows, random.Random(1), most=32)
    return sum(is_right(ask, model.answer(row)) for ask, row in zip(questions, rows, strict=True))


@needs_vnni
@pytest.mark.parametrize("name", REGISTRY)
def test_right_answers_hardly_get_fewer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With AMX the kernels are those of this CPU: what is tested is which layers are replaced, and by what."""
    questions = [
        ask for ask in asks(name, SCENES, 77) if ask.task in TASKS and not ask.instructions and not ask.response_format
    ]
    monkeypatch.setattr(int8, "pays", lambda dtype: True)
    best: int | None = None
    for amx, dtype in ((False, "float32"), (False, "bfloat16"), (False, "int8"), (True, "bfloat16"), (True, "int8")):
        monkeypatch.setattr(machine, "_cpu_flags", lambda amx=amx: frozenset({"amx_bf16"} if amx else ()))
        plain = not amx and dtype != "int8"
        found = right(name, questions, dtype, 0 if plain else None)
        best = found if best is None else best
        assert found >= best - FEWER * len(questions), (amx, dtype)
    assert best is not None
    assert best > 0.9 * len(questions)
