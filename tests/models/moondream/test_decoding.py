"""Every golden case: states, logits, ids, boxes and points, all skills together in one changing batch."""

from __future__ import annotations

import random

import pytest
import torch

from looksee.models.arithmetic import machine
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.network import network, text
from looksee.models.moondream.rows import MoondreamRow, TextRow
from tests.models.mixing import decode_mixed
from tests.models.moondream import rounding, vectors
from tests.models.moondream.rounding import near, no_farther
from tests.models.moondream.vectors import Case


@pytest.fixture(scope="module", params=vectors.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> Moondream:
    return vectors.model(name)


def cases(name: str, file: str = "expected") -> list[Case]:
    return [case for case in vectors.expected(name, file)["cases"] if not case.get("lm_head_bias_overrides")]


def check(case: Case, row: MoondreamRow) -> None:
    if isinstance(row, TextRow):
        said = [token for token in row.answer if token != 0]
        assert said == case["ids"], case
        if len(said) < 20:
            assert (row.finish == "stop") == (case["stopped_by"] == "eos"), case
        return
    found = [list(place) for place in row.boxes or row.points]
    wanted = [list(place.values()) for place in case["result"]]
    assert len(found) == len(wanted), case
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, abs=1e-6), case
    assert bool(row.boxes) == (case["kind"] == "detect" and bool(wanted))
    assert (row.finish == "stop") == (case["stopped_by"] == "eos"), case


def prompt_of(row: MoondreamRow) -> list[int]:
    """The prompt's ids, with those that stand for places."""
    return [piece if isinstance(piece, int) else 6 if hasattr(piece, "width") else 5 for piece in row.prompt]


@pytest.mark.parametrize("seed", [1, 2])
def test_all_cases_in_one_batch(name: str, model: Moondream, seed: int) -> None:
    own = cases(name)
    rows = [vectors.row(model, case) for case in own]
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    assert decode_mixed(model, [rows[index] for index in order], random.Random(seed)) >= 5
    for case, row in zip(own, rows, strict=True):
        check(case, row)
        if "prompt" in case:
            assert prompt_of(row) == case["prompt"]


@torch.inference_mode()
def test_states_and_logits_at_the_end_of_the_prompt(name: str, model: Moondream) -> None:
    wanted, compared = vectors.tensors(name), 0
    for case in cases(name):
        stem = "text_only" if "image" not in case else f"{case['image'].removesuffix('.png')}/{case['kind']}"
        if f"{stem}/prefill_logits" not in wanted:
            continue
        row = vectors.row(model, case)
        batch = model.prefill([row])
        model.step(batch)
        found = {"prefill_logits": model.net.text.logits(batch.hidden)[0], "prefill_hidden_last": batch.hidden[0]}
        for kind, state in found.items():
            if f"{stem}/{kind}" in wanted:
                assert near(state, wanted[f"{stem}/{kind}"], rounding.read(model.config), angle=row.position), stem
        compared += 1
    assert compared == sum(key.endswith("/prefill_logits") for key in wanted)


@torch.inference_mode()
def test_logits_of_every_step() -> None:
    model, wanted = vectors.model("mini70"), vectors.tensors("mini70")
    for case in cases("mini70"):
        if case["kind"] != "caption_normal":
            continue
        row = vectors.row(model, case)
        batch, logits = model.prefill([row]), []
        while row.finish is None:
            model.step(batch)
            logits.append(model.net.text.logits(batch.hidden)[0])
            model.sample(batch)
        steps = wanted[f"{case['image'].removesuffix('.png')}/caption_normal/step_logits"]
        assert len(steps) - len(logits) == (1 if row.finish == "length" else 0)  # a last token nobody asks for
        operations = rounding.read(model.config)
        assert near(torch.stack(logits), steps[: len(logits)], operations, angle=row.position), case


def first_logits(model: Moondream, case: Case) -> torch.Tensor:
    batch = model.prefill([vectors.row(model, case)])
    model.step(batch)
    return model.net.text.logits(batch.hidden)[0]


@torch.inference_mode()
def test_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits are as near to the truth as the golden ones, and every skill decodes. Ids are not compared: logits tie.

    The vectors were computed with attention in bfloat16 too, as it is on a GPU; a CPU without AMX has it in
    float32.
    """
    monkeypatch.setattr(machine, "amx", lambda: False)
    model = vectors.model("full378", dtype=torch.bfloat16)
    theirs, own = vectors.tensors("full378", "expected-bf16"), cases("full378", "expected-bf16")
    compared = {f"{case['image'].removesuffix('.png')}/{case['kind']}/prefill_logits": case for case in own}
    compared = {key: case for key, case in compared.items() if key in theirs}
    assert len(compared) > 5
    golden, truth = (torch.stack([kept[key] for key in compared]) for kept in (theirs, vectors.tensors("full378")))
    assert no_farther(torch.stack([first_logits(model, case) for case in compared.values()]), golden, truth)
    rows = [vectors.row(model, case) for case in own]
    decode_mixed(model, rows, random.Random(0))
    assert all(row.finish for row in rows)

    assert model.step_runner.storage.dtype == torch.float32
    for module in (text, network):
        monkeypatch.setattr(module, "attention_dtype", lambda device, dtype: dtype)
    model = vectors.model("full378", dtype=torch.bfloat16)
    assert model.step_runner.storage.dtype == torch.bfloat16
    assert no_farther(torch.stack([first_logits(model, case) for case in compared.values()]), golden, truth)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_decodes_every_skill(dtype: torch.dtype) -> None:
    model = vectors.model("mini70", dtype=dtype)
    rows = [vectors.row(model, case) for case in cases("mini70")[::5]]
    decode_mixed(model, rows, random.Random(0))
    assert all(row.finish for row in rows)
    assert model.net.dtype == dtype


def test_nothing_to_find_is_an_empty_list() -> None:
    own = [case for case in vectors.expected("mini70")["cases"] if case.get("lm_head_bias_overrides")]
    assert {case["kind"] for case in own} == {"detect", "point"}
    for case in own:
        model = vectors.model("mini70", bias=case["lm_head_bias_overrides"])
        row = vectors.row(model, case)
        decode_mixed(model, [row], random.Random(0))
        check(case, row)
        assert (row.tokens, row.finish) == ([0], "stop")
