"""Pictures are cut as the golden ones were, to the byte."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from looksee.core.images import decode
from looksee.models.moondream.config import VisionConfig
from looksee.models.moondream.crops.tiling import cut, normalised, tiling
from tests.models.moondream import vectors

TABLE = json.loads((vectors.FOLDER / "units" / "tiling.json").read_text())
PICTURES = [(name, record) for name in vectors.NAMES for record in vectors.expected(name)["images"]]


def by_name(name: str, record: dict[str, Any]) -> str:
    return f"{name}-{record['image']}"


def sha256(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def test_every_worked_example() -> None:
    for row in TABLE["rows"]:
        crop, margin, most, width, height, rows, columns, high, wide = row
        config = VisionConfig(crop_size=crop, overlap_margin=margin, max_crops=most, enc_patch_size=TABLE["patch_size"])
        assert tiling(width, height, config) == (rows, columns), row
        assert (rows * config.window + config.margins, columns * config.window + config.margins) == (high, wide), row
    assert len(TABLE["rows"]) == 798


@pytest.mark.parametrize(("name", "record"), PICTURES, ids=[by_name(*picture) for picture in PICTURES])
def test_crops_are_equal_bit_for_bit(name: str, record: dict[str, Any]) -> None:
    crops = cut(decode(vectors.image(record["image"])), vectors.config(name).vision)
    assert [crops.rows, crops.columns] == record["tiling"]
    assert len(crops.pixels) == record["n_crops"]
    assert sha256(crops.pixels) == record["crops_u8_nhwc_sha256"]
    numbers = normalised(crops.pixels, torch.float32).permute(0, 3, 1, 2)
    assert sha256(numbers) == record["crops_norm_nchw_sha256"]


def test_normalising_in_bfloat16_rounds_each_step() -> None:
    for record in vectors.expected("full378", "expected-bf16")["images"]:
        crops = cut(decode(vectors.image(record["image"])), vectors.config("full378").vision)
        numbers = normalised(crops.pixels, torch.bfloat16).permute(0, 3, 1, 2)
        assert sha256(numbers) == record["crops_norm_nchw_sha256"]


def test_half_precision_is_not_rounded_in_between() -> None:
    """The published code normalises in bfloat16 whatever the model is, and then cannot run it."""
    every_byte = torch.arange(256, dtype=torch.uint8)
    numbers = normalised(every_byte, torch.float16)
    assert numbers.dtype == torch.float16
    assert torch.equal(numbers, ((every_byte.double() / 255 - 0.5) / 0.5).half())


@pytest.mark.parametrize("name", ["im-200x100", "im-30x300", "im-50x40", "im-640x480"])
def test_the_crops_look_as_they_should(name: str) -> None:
    """The same crops as a picture one can look at."""
    crops = cut(decode(vectors.image(f"{name}.png")), vectors.config("full378").vision)
    with Image.open(vectors.FOLDER / "full378" / f"crops-{name}.png") as stacked:
        assert np.array_equal(np.asarray(stacked), crops.pixels.flatten(0, 1).numpy())


@pytest.mark.parametrize("most", [1, 2, 4, 12])
def test_fewer_crops_where_fewer_are_allowed(most: int) -> None:
    config = replace(VisionConfig(), max_crops=most)
    for width, height in ((1092, 1040), (640, 480), (4000, 500), (379, 379), (200, 3000), (7700, 640), (600, 30000)):
        rows, columns = tiling(width, height, config)
        assert 1 <= rows * columns <= most
    crops = cut(Image.new("RGB", (1092, 1040)), config)
    assert 2 <= len(crops.pixels) <= most + 1
