"""The network is the published one, and its weights come from files of either naming."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from looksee.core import errors
from looksee.models.moondream.config import Config
from looksee.models.moondream.network import checkpoint
from looksee.models.moondream.network.network import Network
from looksee.models.registry import REGISTRY
from tests.models.moondream import vectors

PUBLISHED = vectors.FOLDER / "published"


def load(directory: Path, dtype: torch.dtype = torch.float32) -> Network:
    return checkpoint.load(directory, vectors.config("mini70"), device=vectors.CPU, dtype=dtype)


def stored() -> dict[str, Tensor]:
    return load_file(vectors.FOLDER / "mini70" / "model.safetensors")


def legacy(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    """A published tensor as the older revisions stored it."""
    name = name.removeprefix("model.")
    visual = "vision_encoder.encoder.model.visual."
    for native, old in (
        (r"^vision\.patch_emb\.", f"{visual}patch_embed.linear."),
        (r"^vision\.pos_emb$", f"{visual}pos_embed"),
        (r"^vision\.post_ln\.", f"{visual}norm."),
        (r"^vision\.blocks\.(\d+)\.ln(\d)\.", rf"{visual}blocks.\1.norm\2."),
        (r"^vision\.blocks\.", f"{visual}blocks."),
        (r"^vision\.proj_mlp\.", "vision_encoder.projection.mlp."),
        (r"^text\.wte$", "text_model.transformer.embd.wte.weight"),
        (r"^text\.blocks\.(\d+)\.attn\.qkv\.", r"text_model.transformer.h.\1.mixer.Wqkv."),
        (r"^text\.blocks\.(\d+)\.attn\.proj\.", r"text_model.transformer.h.\1.mixer.out_proj."),
        (r"^text\.blocks\.", "text_model.transformer.h."),
        (r"^text\.post_ln\.", "text_model.lm_head.ln."),
        (r"^text\.lm_head\.", "text_model.lm_head.linear."),
        (r"^region\.coord_encoder\.", "region_model.coordinate_encoder."),
        (r"^region\.coord_decoder\.", "region_model.coordinate_decoder."),
        (r"^region\.size_(encoder|decoder)\.", r"region_model.size_\1."),
    ):
        name, count = re.subn(native, old, name)
        if count:
            return name, tensor
    kind = "coordinate" if "coord" in name else "size"
    return f"region_model.{kind}_features.weight", tensor.T.contiguous()


def test_names_and_shapes_are_the_published_ones() -> None:
    manifest = json.loads((PUBLISHED / "manifest-2025-06-21.json").read_text())["tensors"]
    with torch.device("meta"):
        state = Network(Config()).state_dict()
    assert {f"model.{name}": list(tensor.shape) for name, tensor in state.items()} == {
        name: record["shape"] for name, record in manifest.items()
    }
    assert len(state) == 592
    assert sum(tensor.numel() for tensor in state.values()) == REGISTRY["moondream"].parameters


def test_the_published_configuration_is_the_default() -> None:
    published = json.loads((PUBLISHED / "effective-config-2025-06-21.json").read_text())
    assert asdict(Config.of(published)) == asdict(Config())
    assert Config.of({}) == Config()


@pytest.mark.parametrize("prefix", ["", "model."])
def test_both_native_prefixes(tmp_path: Path, prefix: str) -> None:
    save_file(
        {prefix + name.removeprefix("model."): part for name, part in stored().items()}, tmp_path / "w.safetensors"
    )
    check(load(tmp_path))


def test_legacy_names(tmp_path: Path) -> None:
    old = dict(legacy(name, tensor) for name, tensor in stored().items())
    assert len(old) == 72
    assert old["region_model.coordinate_features.weight"].shape == (16, 1)
    # One of them as `torch.compile` leaves it.
    old["text_model._orig_mod.lm_head.linear.bias"] = old.pop("text_model.lm_head.linear.bias")
    save_file(old, tmp_path / "model.safetensors")
    check(load(tmp_path))


def check(net: Network) -> None:
    wanted = stored()
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, wanted[f"model.{name}"].float()), name


def test_several_files(tmp_path: Path) -> None:
    for number, (name, tensor) in enumerate(stored().items()):
        save_file({name: tensor}, tmp_path / f"part-{number:02}.safetensors")
    check(load(tmp_path))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_nothing_is_left_unloaded(dtype: torch.dtype) -> None:
    """Loading through the meta device left the published code's rotary table and mask without contents."""
    net = load(vectors.directory("mini70"), dtype)
    assert not list(net.buffers())
    for name, parameter in net.named_parameters():
        assert parameter.device == vectors.CPU, name
        assert parameter.dtype == dtype, name
    assert not net.training


@pytest.mark.parametrize("fault", ["missing", "extra", "shape"])
def test_another_models_weights_are_refused(tmp_path: Path, fault: str) -> None:
    tensors = stored()
    if fault == "missing":
        del tensors["model.region.coord_features"]
    elif fault == "extra":
        tensors["model.text.blocks.2.ln.weight"] = torch.zeros(64)
    else:
        tensors["model.text.wte"] = torch.zeros(128, 64)
    save_file(tensors, tmp_path / "model.safetensors")
    named = {"missing": "region.coord_features", "extra": "text.blocks.2.ln.weight", "shape": "text.wte"}[fault]
    with pytest.raises(errors.WeightsUnavailable, match=re.escape(named)):
        load(tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(errors.WeightsUnavailable, match="damaged"):
        load(tmp_path)
    with pytest.raises(errors.WeightsUnavailable, match="not those"):
        load(tmp_path.parent / "nowhere")


@pytest.mark.parametrize(
    "record",
    [
        {"text": {"prefix_attn": 700}},
        {"text": {"dim": 1024}},
        {"text": {"n_heads": 32, "n_kv_heads": 8}},
    ],
)
def test_a_configuration_that_does_not_fit_itself_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        Config.of(record)
