"""A Moondream2 of the published size with random weights: what takes time and memory is there, only no sense."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from looksee.models.moondream.config import Config
from looksee.models.moondream.network.network import Network

Shapes = dict[str, tuple[int, ...]]

_STD = 0.02
_NORMS = ("ln.weight", "ln1.weight", "ln2.weight")
_LETTERS = 256


def network(config: Config, *, device: torch.device, dtype: torch.dtype) -> Network:
    """The network, its weights drawn on its device."""
    torch.manual_seed(5)
    with torch.device("meta"):
        net = Network(config)
    net = net.to(dtype).to_empty(device=device).requires_grad_(False).eval()
    for name, tensor in net.state_dict().items():
        _draw(name, tensor)
    return net


def write(directory: Path, config: Config) -> int:
    """The published names, shapes and dtype (bfloat16), tensor by tensor into one file; its bytes.

    The vocabulary is as large as the published one, and its special tokens have their ids.
    """
    (directory / "config.json").write_text(json.dumps({"config": asdict(config)}))
    (directory / "tokenizer.json").write_text(json.dumps(_tokenizer(config.text.vocab_size)))
    shapes = shapes_of(config)
    torch.manual_seed(5)
    file = directory / "model.safetensors"
    with file.open("wb") as opened:
        opened.write(header(shapes))
        for name, shape in shapes.items():
            tensor = _draw(name, torch.empty(shape, dtype=torch.bfloat16))
            opened.write(tensor.view(torch.int16).numpy().tobytes())
    return file.stat().st_size


def _draw(name: str, tensor: Tensor) -> Tensor:
    return tensor.fill_(1) if name.endswith(_NORMS) else tensor.normal_(std=_STD)


def shapes_of(config: Config) -> Shapes:
    """Of all tensors, by their published names, sorted."""
    with torch.device("meta"):
        state = Network(config).state_dict()
    return {f"model.{name}": tuple(state[name].shape) for name in sorted(state)}


def header(shapes: Shapes) -> bytes:
    """The beginning of a safetensors file of bfloat16, as its library writes it."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        end = at + 2 * math.prod(shape)
        entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": (at, end)}
        at = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _tokenizer(size: int) -> dict[str, object]:
    """Letters by their bytes, and made-up words in all other places."""
    special = ["<|endoftext|>", *(f"<|special {number}|>" for number in range(1, 21))]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printable]
    letters += [
        chr(256 + number) for number in range(_LETTERS - len(letters))
    ]  # as byte-level tokenizers write the rest
    names = [*special, *letters]
    names += [f"Ġword{number}" for number in range(size - len(names))]
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": name, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False}
            for number, name in enumerate(special)
        ],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {name: number for number, name in enumerate(names)}, "merges": []},
    }  # fmt: skip
