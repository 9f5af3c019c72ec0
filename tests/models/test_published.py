"""Our loader fits the published checkpoints: their names, shapes and files are known, their weights are not needed.

What the manifests in `published/` say is proved by the sizes and hashes of the published files: a safetensors header
spells out every name, dtype, shape and place, and is as long as the file is longer than its weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from looksee.models.loading import load
from looksee.models.registry import REGISTRY
from tests.models import published
from tests.models.checkpoints import write_random
from tests.support.serving import ROOT

MODELS = [name for name in REGISTRY if name != "moondream"]  # which no library has: tests/moondream/test_checkpoint.py
WIDTHS = {"F32": 4, "BF16": 2}
# A buffer that the library saved in those days: int64 numbers from 0.
_POSITIONS = "text_decoder.bert.embeddings.position_ids"
# Saved beside what they are tied to, and equal to it.
_TWICE = {
    "text_decoder.cls.predictions.decoder.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
    "text_decoder.cls.predictions.decoder.bias": "text_decoder.cls.predictions.bias",
}


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    model: str = request.param
    return model


def parameters(shapes: published.Shapes) -> int:
    return sum(math.prod(shape) for name, shape in shapes.items() if name not in {_POSITIONS, *_TWICE})


# --- what is published -----------------------------------------------------------------------------------------------


def test_the_catalogue_says_how_large_they_are(name: str) -> None:
    shapes = published.shapes(name, published.config(name))
    files = published.manifest(name)["files"]
    assert REGISTRY[name].parameters == parameters(shapes)
    assert REGISTRY[name].hub_bytes == sum(size for _, size in files.values())
    assert sum(count for count, _ in files.values()) == len(shapes)
    rounded = {"blip": 224.0, "blip2": 3744.8, "gemma": 4300.1, "intern_vlm": 938.2}
    assert round(REGISTRY[name].parameters / 1e6, 1) == rounded[name]


@pytest.mark.parametrize("model", [model for model in MODELS if model != "blip"])  # BLIP's file is a pickle
def test_names_shapes_and_dtypes_make_files_of_the_published_size(model: str) -> None:
    found = published.manifest(model)
    width = WIDTHS[found["dtype"]]
    for file, tensors in published.files(model, published.shapes(model, published.config(model))).items():
        weights = sum(width * math.prod(shape) for shape in tensors.values())
        assert len(published.header(tensors, found["dtype"])) + weights == found["files"][file][1], file


@pytest.mark.parametrize(
    ("model", "part"),
    [("blip", "preprocessor_config"), ("gemma", "config"), ("gemma", "preprocessor_config"), ("gemma", "index")],
)
def test_what_is_known_word_for_word_has_the_published_hash(model: str, part: str) -> None:
    found = published.manifest(model)
    shapes = published.shapes(model, published.config(model))
    places = {tensor: file for file, tensors in published.files(model, shapes).items() for tensor in tensors}
    found["index"] = {"metadata": {"total_size": 2 * parameters(shapes)}, "weight_map": places}
    text = json.dumps(found[part], indent=2, sort_keys=True) + "\n"
    assert hashlib.sha256(text.encode()).hexdigest() == found["sha256"][part]


def test_every_published_tensor_has_its_place_in_the_architecture(name: str) -> None:
    """The library's own mapping of names, at the real sizes, with tensors that have shapes and no contents."""
    configuration = published.config(name)
    shapes = published.shapes(name, configuration)
    tensors = {tensor: torch.empty(shape, device="meta") for tensor, shape in shapes.items()}
    architecture: Any = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(configuration)]
    net, report = architecture.from_pretrained(
        None, config=configuration, state_dict=tensors, device_map="meta", output_loading_info=True
    )
    assert {kind: set(names) for kind, names in report.items() if names} == {}
    # What was saved twice cannot be seen to be equal here, and is not tied.
    twice = sum(math.prod(shapes[tensor]) for tensor in _TWICE if tensor in shapes)
    assert sum(part.numel() for part in net.parameters()) == REGISTRY[name].parameters + twice


# --- loading, with few layers and small widths -----------------------------------------------------------------------


def write_published(name: str, directory: Path) -> published.Shapes:
    """A random checkpoint with the published names, in as many files, at the sizes of the sample weights."""
    write_random(name, directory)
    configuration = AutoConfig.from_pretrained(directory)
    if name == "intern_vlm":
        _edit(directory / "config.json", _as_published)
    (directory / "model.safetensors").unlink()
    shapes = published.shapes(name, configuration)
    generator = torch.Generator().manual_seed(7)
    dtype = {"F32": torch.float32, "BF16": torch.bfloat16}[published.manifest(name)["dtype"]]
    tensors = {tensor: torch.randn(shape, generator=generator).to(dtype) for tensor, shape in shapes.items()}
    for copy, tensor in _TWICE.items():
        if copy in tensors:
            tensors[copy] = tensors[tensor].clone()
    if _POSITIONS in tensors:
        tensors[_POSITIONS] = torch.arange(tensors[_POSITIONS].numel())[None]
    if name == "blip":
        torch.save(tensors, directory / "pytorch_model.bin")
        return shapes
    names = list(tensors)
    count = len(published.manifest(name)["files"])
    places: dict[str, str] = {}
    for number in range(count):
        file = f"model-{number + 1:05}-of-{count:05}.safetensors" if count > 1 else "model.safetensors"
        part = names[len(names) * number // count : len(names) * (number + 1) // count]
        save_file({tensor: tensors[tensor] for tensor in part}, directory / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    if count > 1:
        index = {"metadata": {"total_size": 0}, "weight_map": places}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return shapes


def _as_published(intern_vlm: dict[str, Any]) -> None:
    """What the sample's configuration has otherwise; that of ties is left to the library's defaults."""
    intern_vlm["vision_config"]["attention_bias"] = True
    for part in (intern_vlm, intern_vlm["text_config"]):
        part.pop("tie_word_embeddings", None)


def _edit(file: Path, change: Any) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def stored(directory: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for file in directory.glob("*.safetensors"):
        found |= load_file(file)
    for file in directory.glob("*.bin"):
        found |= torch.load(file, weights_only=True)
    return found


@pytest.fixture(scope="module")
def checkpoint(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp(name)
    write_published(name, directory)
    return directory


def test_the_library_reports_nothing(checkpoint: Path) -> None:
    _, report = AutoModelForImageTextToText.from_pretrained(checkpoint, output_loading_info=True)
    assert {kind: set(names) for kind, names in report.items() if names} == {}


def test_every_weight_of_a_loaded_model_is_the_published_one(name: str, checkpoint: Path) -> None:
    model: Any = load(name, checkpoint, device="cpu", dtype="float32")
    rest = stored(checkpoint)
    rest.pop(_POSITIONS, None)
    by_content = {content(tensor.float()): tensor_name for tensor_name, tensor in rest.items()}
    if name == "gemma":  # whose norms multiply by 1 + weight
        by_content |= {content(1 + rest[norm].float()): norm for norm in rest if norm.endswith("norm.weight")}
    reached = set()
    for key, tensor in model.net.state_dict().items():
        source = by_content.get(content(tensor))
        assert source is not None, f"{key} is no tensor of the checkpoint"
        reached.add(source)
        if key not in TIED[name]:
            assert tail(key) == tail(source), (key, source)
    for number, block in enumerate(model.decoder.blocks):
        for key, tensor in parts(block):
            source = by_content.get(content(tensor))
            assert source is not None, f"{key} of block {number} is no tensor of the checkpoint"
            assert f".{number}." in source, (key, source)
            layer, _, kind = source.rpartition(".")
            assert key.endswith(kind), (key, source)
            if "/" in key:  # a part of several that are one layer here
                assert layer.rpartition(".")[2].startswith(key.partition("/")[2].partition(".")[0]), (key, source)
            reached.add(source)
    assert {content(rest[source].float()) for source in reached} == {content(part.float()) for part in rest.values()}


FUSED = {"qkv": ("q", "k", "v"), "cross_kv": ("k", "v"), "gate_up": ("gate", "up")}


def parts(block: Any) -> list[tuple[str, torch.Tensor]]:
    """The tensors of a decoder's block; of a layer that was several, `<layer>/<part>.<kind>` each."""
    found = []
    queries = block.heads * block.width
    for key, tensor in block.state_dict().items():
        layer, _, kind = key.rpartition(".")
        if layer not in FUSED:
            found.append((key, tensor))
            continue
        sizes = [len(tensor) // len(FUSED[layer])] * len(FUSED[layer])
        if layer == "qkv":
            sizes = [queries, *[(len(tensor) - queries) // 2] * 2]
        split = zip(FUSED[layer], tensor.split(sizes), strict=True)
        found += [(f"{layer}/{part}.{kind}", piece) for part, piece in split]
    if hasattr(block, "qk_norm"):
        found += [("qk_norm/q.weight", block.qk_norm[0]), ("qk_norm/k.weight", block.qk_norm[-1])]
    return found


TIED = {
    "blip": set(_TWICE) | set(_TWICE.values()),
    "blip2": {"language_model.lm_head.weight"},
    "gemma": {"lm_head.weight"},
    "intern_vlm": set(),  # its head is stored, and is not its embeddings, whatever its configuration says
}


def tail(key: str) -> str:
    """A name from its last layer's number on, or its last two words: the front is what versions of the library move."""
    words = key.split(".")
    numbers = [index for index, word in enumerate(words) if word.isdigit()]
    return ".".join(words[numbers[-1] :] if numbers else words[-2:])


def content(tensor: torch.Tensor) -> bytes:
    digest = hashlib.sha256(str(tuple(tensor.shape)).encode())
    digest.update(tensor.contiguous().numpy().tobytes())
    return digest.digest()


# --- the smallest one at its real size -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["blip", "gemma"])
def test_the_published_picture_settings_are_understood(model: str, tmp_path: Path) -> None:
    write_random(model, tmp_path)
    own = tmp_path / ("processor_config.json" if (tmp_path / "processor_config.json").exists() else "none")
    own.unlink(missing_ok=True)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published.manifest(model)["preprocessor_config"]))
    loaded: Any = load(model, tmp_path, device="cpu", dtype="float32")
    side = {"blip": 384, "gemma": 896}[model]
    assert loaded.pixels(Image.new("RGB", (50, 30), "white")).shape == (3, side, side)


def test_a_blip_of_the_published_size_captions_on_this_machine(tmp_path: Path) -> None:
    """Random weights, so no sense; in a process of its own, whose memory is measured: less than 3 GiB."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.models.full_size", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    measured = json.loads(run.stdout.splitlines()[-1])
    assert measured["parameters"] == REGISTRY["blip"].parameters
    assert measured["image_tokens"] == 577
    assert measured["new_tokens"] == 10
    assert measured["peak_gib"] < 3, measured
