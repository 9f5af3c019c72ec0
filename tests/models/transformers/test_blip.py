"""What is BLIP's own: a caption continues its prompt, and is shown without it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from transformers import BlipForConditionalGeneration

from looksee.core import errors
from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.transformers.blip_vision import replace_attention
from looksee.models.weights.source import SAMPLES
from tests.models.checkpoints import write_random
from tests.models.mixing import decode_mixed
from tests.models.transformers.test_identity import picture


@pytest.fixture(scope="module")
def model() -> Any:
    return load("blip", SAMPLES / "blip", device="cpu", dtype="float32")


def test_the_prompt_is_not_part_of_the_caption(model: Any) -> None:
    rng = random.Random(3)
    row = model.prepare(Job(Task.CAPTION, (picture(rng),), "a photo of", 12))
    decode_mixed(model, [row], rng)
    outcome = model.answer(row)
    assert outcome.text.startswith("a ")
    assert not outcome.text.startswith("a photo of")
    assert outcome.prompt_tokens == model.image_tokens + 4
    assert outcome.new_tokens == len(row.tokens)


def test_a_prompt_that_leaves_no_room_is_refused(model: Any) -> None:
    data = picture(random.Random(1))
    with pytest.raises(errors.PromptTooLong):
        model.prepare(Job(Task.CAPTION, (data,), "red " * 60, 50))
    assert model.prepare(Job(Task.CAPTION, (data,), "red " * 30, 50)).max_new_tokens == 64 - 31


def test_a_stop_string_ends_the_caption_before_it(model: Any) -> None:
    rng = random.Random(3)
    data = picture(rng)
    whole = model.prepare(Job(Task.CAPTION, (data,), "", 20))
    decode_mixed(model, [whole], rng)
    words = model.answer(whole).text.split()
    stopped = model.prepare(Job(Task.CAPTION, (data,), "", 20, stop=(words[2],)))
    decode_mixed(model, [stopped], rng)
    outcome = model.answer(stopped)
    assert outcome.text == " ".join(words[:2])
    assert outcome.finish == "stop"
    assert outcome.new_tokens < len(whole.tokens)


@torch.inference_mode()
def test_the_towers_attention_is_the_librarys(tmp_path: Path) -> None:
    directory = write_random("blip", tmp_path)
    own = BlipForConditionalGeneration.from_pretrained(directory).vision_model
    library = BlipForConditionalGeneration.from_pretrained(directory).vision_model
    replace_attention(own)
    pixels = torch.randn(3, 3, library.config.image_size, library.config.image_size)
    found, wanted = (tower(pixel_values=pixels).last_hidden_state for tower in (own, library))
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert own.state_dict().keys() == library.state_dict().keys()
    with mock.patch.object(torch.nn.functional, "scaled_dot_product_attention") as attend:
        attend.side_effect = lambda q, k, v: v
        assert not torch.allclose(own(pixel_values=pixels).last_hidden_state, wanted, rtol=1e-2, atol=1e-2)
    assert attend.call_count == library.config.num_hidden_layers
