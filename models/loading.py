"""Load a model by its name. The one place that knows which class serves which checkpoint."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from models.base import Model

_CLASSES = {
    "blip": "models.blip:Blip",
    "blip2": "models.blip2:Blip2",
    "gemma": "models.gemma:Gemma",
    "intern_vlm": "models.intern_vlm:InternVlm",
}


def load(name: str, directory: Path, *, device: str, dtype: str, **options: Any) -> Model[Any, Any]:
    """The model in `directory`, ready for its first batch.

    `device` is a torch device or `auto`: the first CUDA device, else Apple's, else the CPU. `dtype` is a torch dtype's
    name or `auto`: bfloat16 on an accelerator, float32 on a CPU. `options` are the model's own.
    """
    module, _, cls = _CLASSES[name].partition(":")
    where = torch.device(device if device != "auto" else _best_device())
    kind = torch.bfloat16 if where.type != "cpu" else torch.float32
    if dtype != "auto":
        kind = getattr(torch, dtype)
    model: Model[Any, Any] = getattr(import_module(module), cls)(directory, device=where, dtype=kind, **options)
    return model


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"
