"""Gemma's vision tower works on contiguous states, of the same bits as the library's transposed view."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from looksee.models.loading import load
from looksee.models.weights.source import SAMPLES


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@torch.inference_mode()
def test_states_are_contiguous_and_their_bits_the_librarys(dtype: str) -> None:
    model: Any = load("gemma", SAMPLES / "gemma", device="cpu", dtype=dtype)
    tower, size = model.net.model.vision_tower, model.net.config.vision_config.image_size
    norms = [part for part in tower.modules() if isinstance(part, nn.LayerNorm)]
    contiguous: list[bool] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        contiguous.append(inputs[0].is_contiguous())

    for norm in norms:
        norm.register_forward_pre_hook(look)
    crops = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3)).to(model.dtype)
    own = model.image_features(crops)
    assert len(contiguous) == len(norms) > 2
    assert all(contiguous)
    contiguous.clear()
    tower.embeddings._forward_hooks.clear()
    assert torch.equal(own, model.image_features(crops))
    assert not any(contiguous)
