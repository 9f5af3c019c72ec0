"""The stand-in for the published weights, and what is measured with it, at a small size."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import full_size
from bench.stand_ins import moondream as stand_in
from looksee.models.moondream.config import Config
from looksee.models.moondream.model import Moondream
from looksee.models.registry import REGISTRY
from tests.models.moondream import vectors


def small() -> Config:
    """With room for a picture and the questions, and a vocabulary for the letters and special tokens."""
    config = vectors.config("mini70")
    return replace(config, text=replace(config.text, vocab_size=400))


def test_the_file_has_the_published_size() -> None:
    shapes = stand_in.shapes_of(Config())
    assert len(stand_in.header(shapes)) + 2 * sum(map(math.prod, shapes.values())) == REGISTRY["moondream"].hub_bytes


def test_what_is_written_is_loaded_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in.write(tmp_path, small())
    model = Moondream(tmp_path, device=vectors.CPU, dtype=torch.float32, max_crops=2)
    assert all(torch.isfinite(parameter).all() for parameter in model.net.parameters())
    assert model.tokenizer.decode(model.tokenizer.encode("What is this?")) == "What is this?"
    full_size.answers(model, 4)
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [(line[0], line[1]) for line in lines[2:]] == [
        ("| caption", "3"),
        ("| query", "kept"),
        ("| detect", "kept"),
        ("| point", "kept"),
    ]
    assert (model.prefixes.hits, model.prefixes.misses) == (3, 1)
