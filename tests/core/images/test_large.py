"""Large JPEGs are decoded smaller for who asks for less, and are the same picture."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from looksee.core.errors import CorruptImage
from looksee.core.images import decode


def photo(width: int, height: int, **options: Any) -> bytes:
    """Colours that run smoothly over the picture, and an edge."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([x, y, np.where(x > y, 200, 30)], -1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **{"format": "JPEG", "quality": 95, **options})
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "least_side", "decoded"),
    [
        ((1600, 1200), None, (1600, 1200)),
        ((1600, 1200), 601, (1600, 1200)),
        ((1600, 1200), 600, (800, 600)),
        ((1600, 1200), 300, (400, 300)),
        ((1600, 1200), 100, (200, 150)),
        ((1600, 1200), 1, (200, 150)),
        ((301, 4000), 150, (151, 2000)),
    ],
)
def test_no_side_has_fewer_pixels_than_asked_for(
    size: tuple[int, int], least_side: int | None, decoded: tuple[int, int]
) -> None:
    assert decode(photo(*size), least_side=least_side).size == decoded


@pytest.mark.parametrize("progressive", [False, True])
def test_it_is_the_same_picture(progressive: bool) -> None:
    data = photo(2048, 1536, progressive=progressive)
    whole, less = (decode(data, least_side=side).resize((192, 192), Image.Resampling.BICUBIC) for side in (None, 384))
    difference = np.abs(np.asarray(whole).astype(int) - np.asarray(less).astype(int))
    assert difference.mean() < 0.5
    assert difference.max() <= 12, "along the edge"


def test_it_is_upright_all_the_same() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(photo(1600, 1200, exif=exif), least_side=300).size == (300, 400)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_are_decoded_whole(kind: str) -> None:
    assert decode(photo(800, 600, format=kind), least_side=100).size == (800, 600)


def test_a_damaged_one_is_told() -> None:
    data = photo(1600, 1200)
    with pytest.raises(CorruptImage):
        decode(data[: len(data) // 2], least_side=300)
