"""Weights are loaded straight onto the device they are used on, and are the same as those that are moved there."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from transformers import AutoModelForImageTextToText, modeling_utils

from looksee.models import loading
from looksee.models.loading import load
from tests.models.checkpoints import write_random
from tests.models.library import MODELS


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", MODELS)
def test_a_placed_network_is_the_moved_one(
    name: str, dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So are buffers that no checkpoint has, such as position numbers and rotary frequencies."""
    write_random(name, tmp_path)
    monkeypatch.setattr(loading, "replace_linears", lambda model, arithmetic: None)
    with mock.patch.object(modeling_utils, "_get_device_map", wraps=modeling_utils._get_device_map) as placed:
        model: Any = load(name, tmp_path, device="cpu", dtype=str(dtype).removeprefix("torch."))
    assert [call.args[1] for call in placed.call_args_list] == [{"": torch.device("cpu")}]
    moved = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=dtype).to("cpu")
    assert dict(model.net.named_parameters())
    for own, other in (
        (dict(model.net.named_parameters()), dict(moved.named_parameters())),
        (dict(model.net.named_buffers()), dict(moved.named_buffers())),
    ):
        assert own.keys() <= other.keys(), "the decoder's blocks are written out anew"
        assert all(tensor.device.type == "cpu" and tensor.dtype == other[key].dtype for key, tensor in own.items())
        assert all(torch.equal(tensor, other[key]) for key, tensor in own.items())
    assert {tensor.dtype for tensor in model.decoder.parameters()} == {dtype}
    assert not model.net.training
    assert not model.decoder.training
