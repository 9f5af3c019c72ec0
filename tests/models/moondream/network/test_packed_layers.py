"""The golden vectors with the linear layers of CPUs that have AMX, and of those that decode in 8 bits."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn

from looksee.models.arithmetic import machine
from looksee.models.arithmetic.rules import Arithmetic
from looksee.models.linears.int8 import MOST_ERROR
from looksee.models.linears.packed import PackedLinear
from looksee.models.linears.replacing import replace_linears
from looksee.models.moondream.model import Moondream
from tests.models.linears.vnni import needs_vnni
from tests.models.mixing import decode_mixed
from tests.models.moondream import rounding, vectors
from tests.models.moondream.rounding import no_farther
from tests.models.moondream.vectors import Case

NAME, FILE = "full378", "expected-bf16"


def packed(arithmetic: Arithmetic) -> Moondream:
    model = vectors.model(NAME, dtype=getattr(torch, arithmetic.dtype))
    replace_linears(model, arithmetic)
    assert not [part for part in model.net.modules() if type(part) is nn.Linear]
    return model


def cases() -> dict[str, Case]:
    """Those with logits, by the names of these."""
    own = [case for case in vectors.expected(NAME, FILE)["cases"] if "image" in case]
    named = {f"{case['image'].removesuffix('.png')}/{case['kind']}/prefill_logits": case for case in own}
    found = {key: case for key, case in named.items() if key in vectors.tensors(NAME, FILE)}
    assert len(found) > 5
    return found


@torch.inference_mode()
def logits(model: Moondream, cases: dict[str, Case]) -> Tensor:
    found = []
    for case in cases.values():
        batch = model.prefill([vectors.row(model, case)])
        model.step(batch)
        found.append(model.net.text.logits(batch.hidden)[0])
    return torch.stack(found)


def test_blocked_bfloat16_is_as_near_to_the_truth_as_the_golden_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention is in bfloat16 too, as the golden vectors have it."""
    monkeypatch.setattr(machine, "amx", lambda: True)
    model = packed(Arithmetic("cpu", "bfloat16", "blocked", amx=True))
    assert model.net.cache_dtype == torch.bfloat16
    own = cases()
    golden, truth = (
        torch.stack([kept[key] for key in own]) for kept in (vectors.tensors(NAME, FILE), vectors.tensors(NAME))
    )
    assert no_farther(logits(model, own), golden, truth)
    rows = [vectors.row(model, case) for case in vectors.expected(NAME, FILE)["cases"]]
    decode_mixed(model, rows, random.Random(0))
    assert all(row.finish for row in rows)
    assert {part.weight.dtype for part in model.net.modules() if isinstance(part, PackedLinear)} == {torch.bfloat16}


@needs_vnni
@pytest.mark.parametrize("amx", [False, True])
def test_8_bits_are_off_by_as_much_as_their_layers_are(amx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of layers behind each other are independent, so they grow with the root of their number."""
    monkeypatch.setattr(machine, "amx", lambda: amx)
    own = cases()
    truth = torch.stack([vectors.tensors(NAME)[key] for key in own])
    model = packed(Arithmetic("cpu", "bfloat16" if amx else "float32", "int8", amx))
    off = rounding.error(logits(model, own), truth)
    assert off < MOST_ERROR * rounding.read(model.config) ** 0.5
