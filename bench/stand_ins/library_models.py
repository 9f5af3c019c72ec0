"""The four models of transformers' architectures at their published sizes, with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.initialization import no_init_weights

_ROOT = Path(__file__).parents[2]
_MANIFESTS = _ROOT / "tests/models/published"  # the published configurations
_SAMPLES = _ROOT / "samples/weights"
_STD = 0.02
_NOISE = 2**20 - 3  # numbers that are repeated; a prime, so that no two rows of a matrix are the same ones
_PARTS = ("text_config", "vision_config", "qformer_config")
# What of a sample checkpoint goes with other weights: words, and how pictures are read.
_WITH_WORDS = ("chat_template.jinja", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "processor_config.json")
_SPECIAL_IDS = ("bos_token_id", "eos_token_id", "sep_token_id", "pad_token_id")


def configuration(name: str, *, layers: int | None = None) -> Any:
    """The published configuration, with `layers` layers in each part where that is given: at least 2 for Gemma."""
    return AutoConfig.for_model(**_published(name, layers))


def network(config: Any, *, device: torch.device, dtype: torch.dtype) -> Any:
    """The network on `device`, its weights repeated noise: drawing billions of numbers on a CPU takes minutes."""
    with no_init_weights(), device:
        net = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    net.tie_weights()
    net.requires_grad_(False).eval()
    noise = torch.randn(_NOISE, generator=torch.Generator().manual_seed(5)).mul_(_STD).to(device, dtype)
    for name, parameter in net.named_parameters():
        _fill(name, parameter.data, noise)
    return net


def write(name: str, directory: Path, *, dtype: torch.dtype = torch.bfloat16, layers: int | None = None) -> None:
    """A checkpoint of the published size that the project's own class loads, with the sample's words.

    The vocabulary is as large as the published one. Only the ids of special tokens are the sample's, whose tokenizer
    is used; ids that it does not know are decoded to nothing.
    """
    sample = _SAMPLES / name
    record, ours = _published(name, layers), json.loads((sample / "config.json").read_text())
    for part in ("text_config", "vision_config"):
        known = {key: ours[part][key] for key in _SPECIAL_IDS if key in ours[part]}
        record[part] |= known
    record |= {key: ours[key] for key in ("image_token_id", "image_token_index") if key in ours}
    config = AutoConfig.for_model(**record)
    network(config, device=torch.device("cpu"), dtype=dtype).save_pretrained(directory)
    for file in _WITH_WORDS:
        if (sample / file).exists():
            shutil.copy(sample / file, directory / file)
    pixels = json.loads((sample / "preprocessor_config.json").read_text())
    side = config.vision_config.image_size
    side = side[0] if isinstance(side, list | tuple) else side
    pixels["size"] = {"height": side, "width": side}
    (directory / "preprocessor_config.json").write_text(json.dumps(pixels))


def _published(name: str, layers: int | None) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((_MANIFESTS / f"{name}.json").read_text())["config"]
    for part in _PARTS:
        if layers and part in record:
            record[part]["num_hidden_layers"] = layers
    if name == "gemma" and layers:  # one that attends to all positions is the last of six; the library wants both kinds
        record["text_config"]["layer_types"] = [*["sliding_attention"] * (layers - 1), "full_attention"]
    if name == "intern_vlm":  # whose file has a head of its own; the library would tie it to the embeddings
        record["tie_word_embeddings"] = record["text_config"]["tie_word_embeddings"] = False
    return record


def _fill(name: str, tensor: Tensor, noise: Tensor) -> None:
    if tensor.dim() == 1:  # biases; weights of norms, and scales of layers
        tensor.fill_(0 if name.endswith("bias") else 1)
        return
    for part in torch.split(tensor.view(-1), len(noise)):
        part.copy_(noise[: len(part)])
