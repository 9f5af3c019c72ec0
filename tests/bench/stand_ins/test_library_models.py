"""The library's models at their published sizes with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.stand_ins import library_models
from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.registry import REGISTRY
from tests.support.pictures import scene

NAMES = ("blip", "blip2", "gemma", "intern_vlm")


@pytest.mark.parametrize("name", NAMES)
def test_they_have_the_published_size(name: str) -> None:
    config = library_models.configuration(name)
    net = library_models.network(config, device=torch.device("meta"), dtype=torch.bfloat16)
    assert sum(parameter.numel() for parameter in net.parameters()) == REGISTRY[name].parameters


def test_fewer_layers_are_fewer_in_every_part() -> None:
    config = library_models.configuration("blip2", layers=2)
    parts = config.text_config, config.vision_config, config.qformer_config
    assert [part.num_hidden_layers for part in parts] == [2, 2, 2]


@pytest.mark.parametrize(("name", "words", "tokens"), [("blip", 30524, 577 + 1), ("intern_vlm", 151674, 256)])
def test_what_is_written_is_loaded_and_answers(name: str, words: int, tokens: int, tmp_path: Path) -> None:
    library_models.write(name, tmp_path, layers=1)
    model: Any = load(name, tmp_path, device="cpu", dtype="float32")
    model.eos_ids = frozenset()
    assert model.net.config.get_text_config().vocab_size == words
    row = model.prepare(Job(Task.CAPTION, (scene(1)[0],), max_new_tokens=3))
    assert row.prompt_tokens >= tokens
    batch = model.prefill([row])
    while row.finish is None:
        model.step(batch)
        with torch.inference_mode():
            logits = model.decoder.logits(batch.hidden)
        assert torch.isfinite(logits).all()
        assert logits.shape == (1, words)
        assert logits.std() > 0
        model.sample(batch)
    assert len(row.tokens) == 3
    assert isinstance(model.answer(row).text, str)


def test_no_two_rows_of_a_matrix_are_the_same() -> None:
    config = library_models.configuration("intern_vlm", layers=1)
    net = library_models.network(config, device=torch.device("cpu"), dtype=torch.float32)
    table = net.get_input_embeddings().weight
    assert len(torch.unique(table[:, :4], dim=0)) == len(table)
    norm = net.model.language_model.norm.weight
    assert norm.eq(1).all()
