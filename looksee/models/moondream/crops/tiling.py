"""How a picture is cut: one global crop of all of it, and overlapping local crops of an enlarged or reduced copy.

As many local crops are taken as are allowed, so small pictures are enlarged. A picture with one side no longer than a
crop has a single local crop, whatever its other side.
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
    """A picture, cut. `pixels` is (1 + rows * columns, side, side, 3) uint8: the global crop, then the local ones."""

    pixels: Tensor
    rows: int
    columns: int


def tiling(width: int, height: int, config: VisionConfig) -> tuple[int, int]:
    """Rows and columns of local crops for a picture of so many pixels, together at most `max_crops`.

    This is the published rule, but for pictures so long and thin that it would itself go over its limit (with 12 crops
    from about 7,600 x 600 pixels on).
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


def cut(picture: Image.Image, config: VisionConfig) -> Crops:
    """The crops of `picture` (RGB), resized with Pillow's Lanczos filter, without keeping the aspect ratio."""
    side, window, margins = config.crop_size, config.window, config.margins
    rows, columns = tiling(*picture.size, config)
    whole = _resized(picture, columns * window + margins, rows * window + margins)
    crops = [whole if rows * columns == 1 else _resized(picture, side, side)]
    for row in range(rows):
        for column in range(columns):
            top, left = row * window, column * window
            crops.append(whole[top : top + side, left : left + side])
    return Crops(torch.from_numpy(np.stack(crops)), rows, columns)


def normalised(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes as numbers from -1 to 1 of `dtype`, on the bytes' device.

    In bfloat16 each of the three steps is rounded, as the model was trained and published; otherwise the arithmetic is
    float32's.
    """
    exact = dtype if dtype == torch.bfloat16 else torch.float32
    return (pixels.to(exact) / 255).sub_(0.5).div_(0.5).to(dtype)


def _resized(picture: Image.Image, width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
