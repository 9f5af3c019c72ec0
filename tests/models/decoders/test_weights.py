"""A decoder that is written out has the checkpoint's weights once: fused ones replace the library's, block by block."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from looksee.models.core.layers import fused
from looksee.models.decoders import bert, gemma3, opt, qwen2
from looksee.models.loading import load
from looksee.models.weights.source import SAMPLES
from tests.models.decoders import test_support
from tests.models.decoders.test_support import written_out
from tests.models.library import MODELS

NETS = ("blip", "gemma3", "opt", "qwen2")


def size(tensors: Iterable[Tensor]) -> int:
    """The bytes of their storages, each counted once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def held(*modules: nn.Module) -> list[Tensor]:
    return [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]


@pytest.mark.parametrize("kind", NETS)
def test_fusing_holds_one_block_twice_at_most(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a collector's help: what a card has no room for must be free at once."""
    net = getattr(test_support, kind)()
    original = [weakref.ref(tensor) for tensor in held(net)]
    whole, block = size(held(net)), max(size(held(layer)) for layer in layers(net))
    made: list[weakref.ref[Tensor]] = []
    peaks = []

    def measured(parts: Sequence[nn.Linear]) -> nn.Linear:
        layer = fused(parts)
        made.extend(weakref.ref(tensor) for tensor in held(layer))
        peaks.append(size(alive([*original, *made])))
        return layer

    for module in (bert, gemma3, opt, qwen2):
        monkeypatch.setattr(module, "fused", measured)
    decoder = written_out(net)
    assert len(peaks) >= len(decoder.blocks) > 1
    assert max(peaks) <= whole + block
    assert size([*alive(original), *held(net, decoder)]) < 1.02 * whole


def alive(references: Iterable[weakref.ref[Tensor]]) -> list[Tensor]:
    return [tensor for reference in references if (tensor := reference()) is not None]


def layers(net: Any) -> nn.ModuleList:
    """The library's decoder layers: the only list of modules that a language model has."""
    (found,) = (module for module in net.modules() if isinstance(module, nn.ModuleList))
    return found


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_has_the_checkpoints_weights_once(name: str) -> None:
    model: Any = load(name, SAMPLES / name, device="cpu", dtype="float32")
    stored = 0
    for file in (SAMPLES / name).glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            stored += sum(math.prod(opened.get_slice(tensor).get_shape()) for tensor in opened.keys())  # noqa: SIM118
    assert stored > 0
    found = size(held(model.net, model.decoder)) / torch.float32.itemsize
    assert 0.98 < found / stored < 1.02
