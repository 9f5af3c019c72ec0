"""A row whose numbers overflow fails alone, in every model; its neighbours and who comes next get their tokens."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.registry import REGISTRY, prompts
from looksee.models.weights.source import SAMPLES
from tests.models.mixing import decode_mixed
from tests.support import pictures


def jobs(name: str) -> list[Job]:
    prompt = "" if name == "moondream" else prompts.caption(name)
    return [Job(Task.CAPTION, (pictures.scene(f"finite {number}")[0],), prompt, 12) for number in range(4)]


@torch.inference_mode()
@pytest.mark.parametrize("name", REGISTRY)
def test_a_row_that_is_not_finite_fails_alone(name: str) -> None:
    model: Any = load(name, SAMPLES / name, device="cpu", dtype="float32")
    alone = [model.prepare(job) for job in jobs(name)]
    for row in alone:
        decode_mixed(model, [row], random.Random(0))
    rows = [model.prepare(job) for job in jobs(name)]
    batch = model.prefill(rows[:3])
    model.step(batch)
    for layer in model.step_runner.storage.layers:
        layer[1] = torch.nan  # as an overflow in the second row's keys and values
    model.sample(batch)
    model.step(batch)
    model.sample(batch)
    assert [row.error is None for row in rows[:3]] == [True, False, True]
    assert len(rows[1].tokens) == 1
    batch = model.keep_rows(batch, [0, 2])
    batch = model.add_rows(batch, model.prefill(rows[3:]))  # where the second row was
    for _ in range(12):
        model.step(batch)
        model.sample(batch)
    for number in (0, 2, 3):
        assert rows[number].error is None
        assert rows[number].tokens[: len(alone[number].tokens)] == alone[number].tokens


@torch.inference_mode()
def test_a_place_that_is_not_finite_is_no_place() -> None:
    model: Any = load("moondream", SAMPLES / "moondream", device="cpu", dtype="float32")
    data, scene = pictures.scene("finite places")[0], "shape"
    rows = [model.prepare(Job(Task.DETECT, (data,), scene, max_objects=4)) for _ in range(2)]
    batch = model.prefill(rows)
    model.step(batch)
    model.sample(batch)
    model.step(batch)
    batch.hidden[0] = torch.nan
    model.sample(batch)
    assert rows[0].error is not None
    assert rows[1].error is None
