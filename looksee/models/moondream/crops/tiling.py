"""Cutting an image: one global crop of all of it, and overlapping local crops of an enlarged or reduced copy.

As many local crops are cut as are allowed, so small images are enlarged. An image with one side no longer than a crop
has a single local crop, however long its other side is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from looksee.models.moondream.config import VisionConfig


@dataclass(frozen=True, slots=True)
class Crops:
    """The crops of an image.

    `pixels` is (1 + rows * columns, side, side, 3) uint8: the global crop, then the local ones in row-major order.
    """

    pixels: Tensor
    rows: int
    columns: int


def tiling(width: int, height: int, config: VisionConfig) -> tuple[int, int]:
    """Rows and columns of local crops for an image of `width` x `height` pixels, together at most `max_crops`.

    The published rule, except for images so long and thin that it would exceed its own limit (with 12 crops from about
    7,600 x 600 pixels).
    """
    window, most = config.window, config.max_crops
    high, wide = height - config.margins, width - config.margins
    if high <= window or wide <= window:
        return 1, 1
    least_rows, least_columns = math.ceil(high / window), math.ceil(wide / window)
    if least_rows * least_columns > most:
        shrink = math.sqrt(most / (least_rows * least_columns))
        rows, columns = math.floor(least_rows * shrink), math.floor(least_columns * shrink)
        return min(max(1, rows), most), min(max(1, columns), most)
    rows = max(math.floor(math.sqrt(most * high / wide)), least_rows)
    columns = max(math.floor(math.sqrt(most * wide / high)), least_columns)
    if rows * columns > most:
        if columns > rows:
            columns = most // rows
        else:
            rows = most // columns
    return max(1, rows), max(1, columns)


def cut(image: Image.Image, config: VisionConfig) -> Crops:
    """The crops of `image` (RGB), resized with Pillow's Lanczos filter, without keeping the aspect ratio."""
    side, window, margins = config.crop_size, config.window, config.margins
    rows, columns = tiling(*image.size, config)
    whole = _resized(image, columns * window + margins, rows * window + margins)
    crops = [whole if rows * columns == 1 else _resized(image, side, side)]
    for row in range(rows):
        for column in range(columns):
            top, left = row * window, column * window
            crops.append(whole[top : top + side, left : left + side])
    return Crops(torch.from_numpy(np.stack(crops)), rows, columns)


def normalised(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """`pixels` (uint8, any shape) as numbers from -1 to 1 of `dtype`, on the same device.

    For bfloat16 each of the three operations is rounded, as in the published model; otherwise they are in float32.
    """
    exact = dtype if dtype == torch.bfloat16 else torch.float32
    return (pixels.to(exact) / 255).sub_(0.5).div_(0.5).to(dtype)


def _resized(image: Image.Image, width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
