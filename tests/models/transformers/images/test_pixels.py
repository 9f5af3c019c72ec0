"""Our way from a picture to a tensor gives the library's values, bit for bit."""

from __future__ import annotations

import random

import pytest
import torch
from PIL import Image
from transformers import BlipImageProcessorPil, GotOcr2ImageProcessorPil

from looksee.models.transformers.images.pixels import Pixels
from looksee.models.transformers.images.tiles import grid
from samples.world import scenes


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


@pytest.mark.parametrize("most", [2, 4, 6, 12])
def test_tiles_are_the_librarys_bit_for_bit(most: int) -> None:
    processor = GotOcr2ImageProcessorPil(size={"height": 40, "width": 40})
    pixels = Pixels(processor)
    for size in ((400, 400), (40, 40), (57, 300), (300, 57), (1000, 30), (640, 480), (81, 80), (200, 100)):
        picture = Image.effect_noise(size, 90).convert("RGB")
        expected = processor(
            picture, crop_to_patches=True, min_patches=1, max_patches=most, return_tensors="pt"
        ).pixel_values
        assert torch.equal(pixels.tiles(picture, *grid(size, (40, 40), most)), expected), size


def test_one_tile_at_most_is_the_picture_itself() -> None:
    assert grid((1000, 100), (40, 40), 1) == (1, 1)
