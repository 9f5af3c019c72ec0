"""Untrained checkpoints whose answers depend on the picture: wide initial values everywhere, and few early ends."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

SLIDING_WINDOW = 32  # shorter than most rows, so that it matters


def write_random(name: str, directory: Path, *, std: float = 0.25) -> Path:
    """A checkpoint of the sample recipe's architecture with random weights, in the published layout."""
    torch.manual_seed(5)
    recipe: Any = importlib.import_module(f"samples.recipes.{name}")
    lesson = recipe.LESSON()
    for module in lesson.model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
    if name == "gemma":
        # Its embeddings are tied and scaled: wide ones would only repeat the latest token.
        nn.init.normal_(lesson.model.get_input_embeddings().weight, std=0.01)
        nn.init.normal_(lesson.model.model.multi_modal_projector.mm_input_projection_weight, std=std)
        lesson.model.config.text_config.sliding_window = SLIDING_WINDOW
    lesson.save(directory)
    return directory
