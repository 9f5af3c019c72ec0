"""Pictures to tensors, bit for bit as the library's Pillow-backed image processors make them, with fewer copies.

The library goes picture -> array -> picture -> resized picture -> array, and does float arithmetic on every pixel. Here
a picture is resized as it is, and rescaling and normalising is one table lookup: what becomes of a byte depends on its
value and its channel alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class Pixels:
    """The resize, rescale and normalise of one checkpoint's image processor."""

    def __init__(self, processor: Any) -> None:
        """Raises ValueError for a processor that does anything else."""
        if not (processor.do_resize and processor.do_rescale and processor.do_normalize):
            raise ValueError("the image processor must resize, rescale and normalise")
        if getattr(processor, "do_center_crop", False) or getattr(processor, "do_pad", False):
            raise ValueError("the image processor must neither crop nor pad")
        size = processor.size
        self._size = self.width, self.height = (size["width"], size["height"])
        self._resample = Image.Resampling(processor.resample)
        values = (np.arange(256, dtype=np.float64) * processor.rescale_factor).astype(np.float32)[None, :]
        mean, std = (
            np.array(numbers, dtype=np.float32)[:, None] for numbers in (processor.image_mean, processor.image_std)
        )
        self._table = (values - mean) / std  # (3, 256)

    def __call__(self, picture: Image.Image) -> Tensor:
        """`picture` (RGB) as (3, height, width) float32."""
        return self._normalised(self._resized(picture, self._size))

    def tiles(self, picture: Image.Image, columns: int, rows: int) -> Tensor:
        """`picture` (RGB) cut into a grid, row by row, and if that is more than one tile the whole once more.

        (tiles, 3, height, width) float32; each tile has the size of a picture.
        """
        if columns * rows == 1:
            return self(picture)[None]
        width, height = self._size
        whole = self._normalised(self._resized(picture, (columns * width, rows * height)))
        grid = whole.view(3, rows, height, columns, width).permute(1, 3, 0, 2, 4)
        return torch.cat([grid.flatten(0, 1), self(picture)[None]])

    def _resized(self, picture: Image.Image, size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.asarray(picture.resize(size, self._resample))

    def _normalised(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
        return torch.from_numpy(np.stack([self._table[channel][pixels[..., channel]] for channel in range(3)]))
