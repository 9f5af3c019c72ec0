"""Our way from a picture to a tensor gives the library's values, bit for bit."""

from __future__ import annotations

import random

import pytest
import torch
from PIL import Image
from transformers import BlipImageProcessorPil

from models.pixels import Pixels
from samples import scenes


@pytest.mark.parametrize(
    "size", [{"height": 80, "width": 80}, {"height": 384, "width": 384}, {"height": 60, "width": 90}]
)
def test_bit_for_bit(size: dict[str, int]) -> None:
    processor = BlipImageProcessorPil(size=size)
    pixels = Pixels(processor)
    rng = random.Random(4)
    noise = Image.effect_noise((217, 133), 90).convert("RGB")
    for picture in [noise, *(scenes.draw(scenes.compose(rng), rng) for _ in range(6))]:
        expected = processor(picture, return_tensors="pt").pixel_values[0]
        assert torch.equal(pixels(picture), expected)


def test_other_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="rescale"):
        Pixels(BlipImageProcessorPil(do_rescale=False))
    with pytest.raises(ValueError, match="crop"):
        Pixels(BlipImageProcessorPil(do_center_crop=True, crop_size={"height": 8, "width": 8}))
