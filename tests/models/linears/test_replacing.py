"""Which layers are replaced, by what, and that nothing of the originals stays."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from looksee.models.arithmetic.rules import Arithmetic
from looksee.models.linears import blocked
from looksee.models.linears.blocked import BlockedLinear
from looksee.models.linears.int8 import Int8Linear
from looksee.models.linears.replacing import replace_linears, weight_bytes
from tests.models.linears.vnni import needs_vnni

INT8 = Arithmetic("cpu", "float32", "int8")
INT8_AMX = Arithmetic("cpu", "bfloat16", "int8", amx=True)
BLOCKED = Arithmetic("cpu", "bfloat16", "blocked", amx=True)


class Special(nn.Linear):
    """A subclass, as `nn.MultiheadAttention` has one whose weight it reads itself."""


class Talker(nn.Module):
    """A decoder with a head whose weight is the embedding's."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30, 16)
        self.layers = nn.ModuleList([nn.Linear(16, 16), nn.Linear(16, 16)])
        self.head = nn.Linear(16, 30, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids)
        for layer in self.layers:
            x = layer(x)
        y: Tensor = self.head(x)
        return y


class Seer(nn.Module):
    """What else a model has; it refers to the decoder's head too, as the library's networks do."""

    def __init__(self, talker: Talker) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(8, 16), nn.GELU(), Special(16, 16))
        self.same = self.tower[0]
        self.lm_head = talker.head


class Both:
    def __init__(self, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        self.talker = Talker().to(dtype).requires_grad_(False)
        self.seer = Seer(self.talker).to(dtype).requires_grad_(False)

    def networks(self) -> tuple[nn.Module, nn.Module]:
        return self.talker, self.seer


def kinds(model: Both) -> list[type[nn.Module]]:
    return [type(layer) for layer in (*model.talker.layers, model.talker.head, model.seer.tower[0])]


@pytest.mark.parametrize(
    ("arithmetic", "wanted"),
    [
        (Arithmetic("cpu", "bfloat16"), [nn.Linear] * 4),
        (BLOCKED, [BlockedLinear] * 4),
        (INT8, [Int8Linear] * 4),
        (INT8_AMX, [Int8Linear] * 3 + [BlockedLinear]),
    ],
    ids=["plain", "blocked", "int8", "the decoder's"],
)
def test_each_layer_is_replaced_wherever_it_is(arithmetic: Arithmetic, wanted: list[type[nn.Module]]) -> None:
    model = Both(getattr(torch, arithmetic.dtype))
    replace_linears(model, arithmetic)
    assert kinds(model) == wanted
    assert model.seer.lm_head is model.talker.head
    assert model.seer.same is model.seer.tower[0]
    assert type(model.seer.tower[2]) is Special


@needs_vnni
@pytest.mark.parametrize("arithmetic", [BLOCKED, INT8, INT8_AMX])
def test_the_embedding_keeps_the_weight_that_its_head_had(arithmetic: Arithmetic) -> None:
    model = Both(getattr(torch, arithmetic.dtype))
    ids = torch.arange(30)
    words, wanted = model.talker.words.weight.clone(), model.talker(ids).float()
    replace_linears(model, arithmetic)
    assert torch.equal(model.talker.words.weight, words)
    found = model.talker(ids).float()
    assert (found - wanted).norm() < 0.02 * wanted.norm()


@pytest.mark.parametrize("arithmetic", [BLOCKED, INT8, INT8_AMX])
def test_the_originals_are_freed_one_at_a_time(arithmetic: Arithmetic, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Both(getattr(torch, arithmetic.dtype))
    layers: list[Any] = [*model.talker.layers, model.seer.tower[0]]
    weights = [weakref.ref(layer.weight) for layer in layers]
    alive: list[int] = []
    for cls in (BlockedLinear, Int8Linear):
        make = cls.__init__

        def counted(self: Any, source: nn.Linear, make: Any = make) -> None:
            alive.append(sum(weight() is not None for weight in weights))
            make(self, source)

        monkeypatch.setattr(cls, "__init__", counted)
    del layers
    replace_linears(model, arithmetic)
    assert alive == sorted(alive, reverse=True)
    assert alive[-1] == 1
    assert not any(weight() is not None for weight in weights)


def test_bytes_count_each_weight_once() -> None:
    model = Both(torch.float32)
    others = 2 * 16 + 16 + 16 * 16 + 16  # biases, and the subclass
    assert weight_bytes(model) == 4 * (30 * 16 + 2 * 16 * 16 + 8 * 16 + others)
    replace_linears(model, INT8)
    scales = (4 + 8) * (16 + 16 + 30 + 16)  # with zeros
    packed = sum(layer.packed_bytes for layer in (*model.talker.layers, model.talker.head, model.seer.tower[0]))
    assert weight_bytes(model) == 4 * (30 * 16 + others) + scales + packed


def test_what_cannot_be_blocked_stays_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "available", lambda: False)
    model = Both(torch.bfloat16)
    replace_linears(model, INT8_AMX)
    assert kinds(model) == [Int8Linear] * 3 + [nn.Linear]
