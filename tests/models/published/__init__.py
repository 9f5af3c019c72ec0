"""The published checkpoints, without their weights: configuration, tensor names and shapes, sizes of the files.

`<model>.json` has the part of the published config.json that shapes depend on; `files` as [tensors, bytes]; `tensors`
as name -> shape, in the order in which they were saved. `{layers}` stands for each of that many layers, `{layers:step}`
for those at a distance. Shapes are in words for what `sizes` takes from a configuration, so that the same names can be
written small.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoConfig

Shapes = dict[str, tuple[int, ...]]
_LAYERS = re.compile(r"\{(\w+)(?::(\w+))?\}")


def manifest(name: str) -> dict[str, Any]:
    """What is known of a model's published checkpoint."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name(f"{name}.json").read_text())
    return found


def config(name: str) -> Any:
    """The published configuration."""
    return AutoConfig.for_model(**manifest(name)["config"])


def shapes(name: str, configuration: Any) -> Shapes:
    """The published tensor names and their shapes, at the sizes of `configuration`."""
    numbers = sizes(configuration)
    return {full: tuple(_number(word, numbers) for word in shape) for full, shape in _names(name, numbers)}


def sizes(configuration: Any) -> dict[str, int]:
    """The numbers that a manifest's words stand for."""
    vision, text = configuration.vision_config, configuration.text_config
    patch, side = (_one(value) for value in (vision.patch_size, vision.image_size))
    found = {
        "vision": vision.hidden_size,
        "vision_inner": vision.intermediate_size,
        "vision_layers": vision.num_hidden_layers,
        "patch": patch,
        "patches": (side // patch) ** 2,
        "text": text.hidden_size,
        "inner": getattr(text, "ffn_dim", None) or text.intermediate_size,
        "layers": text.num_hidden_layers,
        "words": text.vocab_size,
        "positions": text.max_position_embeddings,
    }
    if hasattr(text, "num_key_value_heads"):
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        found |= {"head": head, "q": text.num_attention_heads * head, "kv": text.num_key_value_heads * head}
    if hasattr(configuration, "qformer_config"):
        qformer = configuration.qformer_config
        found |= {"queries": configuration.num_query_tokens, "qformer": qformer.hidden_size}
        found |= {"qformer_inner": qformer.intermediate_size, "qformer_layers": qformer.num_hidden_layers}
        found["cross"] = qformer.cross_attention_frequency
    if hasattr(configuration, "downsample_ratio"):
        found["shuffled"] = int(vision.hidden_size / configuration.downsample_ratio**2)
    return found


def header(tensors: Shapes, dtype: str) -> bytes:
    """The beginning of a safetensors file as the library writes it: names sorted, padded to eight bytes."""
    width = {"F32": 4, "BF16": 2}[dtype]
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in sorted(tensors):
        end = at + width * math.prod(tensors[name])
        entries[name] = {"dtype": dtype, "shape": tensors[name], "data_offsets": [at, end]}
        at = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def files(name: str, tensors: Shapes) -> dict[str, Shapes]:
    """Which tensors are in which file."""
    rest = iter(tensors.items())
    return {file: dict(next(rest) for _ in range(count)) for file, (count, _) in manifest(name)["files"].items()}


def _names(name: str, numbers: dict[str, int]) -> Iterator[tuple[str, list[int | str]]]:
    for pattern, found in manifest(name)["tensors"].items():
        layers = _LAYERS.search(pattern)
        if layers is None:
            yield pattern, found
            continue
        for layer in range(0, numbers[layers[1]], numbers[layers[2]] if layers[2] else 1):
            for rest, shape in found.items():
                yield f"{pattern[: layers.start()]}{layer}.{rest}", shape


def _number(word: int | str, numbers: dict[str, int]) -> int:
    """`3`, `text`, `3 vision` (times) or `1 + patches`."""
    if isinstance(word, int):
        return word
    before, _, name = word.rpartition(" ")
    if before.endswith("+"):
        return int(before.split()[0]) + numbers[name]
    return int(before or 1) * numbers[name]


def _one(value: Any) -> int:
    """A side that may be given twice."""
    return int(value[0] if isinstance(value, list | tuple) else value)
