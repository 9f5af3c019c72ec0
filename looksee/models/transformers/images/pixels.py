"""RGB images to tensors, bit for bit as transformers' Pillow-backed image processors make them, with fewer copies.

The library converts image -> array -> image -> resized image -> array and does float arithmetic on every pixel. Here
the image is resized as it is, and rescaling and normalising are one table lookup: the result for a byte depends on its
value and its channel alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Pixels:
    """The resize, rescale and normalise of one checkpoint's image processor. `width` and `height` are in pixels."""

    def __init__(self, processor: Any) -> None:
        """Raises ValueError for a processor that does anything else."""
        if not (processor.do_resize and processor.do_rescale and processor.do_normalize):
            raise ValueError("the image processor must resize, rescale and normalise")
        if getattr(processor, "do_center_crop", False) or getattr(processor, "do_pad", False):
            raise ValueError("the image processor must neither crop nor pad")
        self.width: int = processor.size["width"]
        self.height: int = processor.size["height"]
        self._resample = Image.Resampling(processor.resample)
        values = (np.arange(256, dtype=np.float64) * processor.rescale_factor).astype(np.float32)[None, :]
        mean, std = (
            np.array(numbers, dtype=np.float32)[:, None] for numbers in (processor.image_mean, processor.image_std)
        )
        self._normalised = (values - mean) / std  # (3, 256)

    @property
    def least_side(self) -> int:
        """The pixels of a picture's side from which on making it smaller loses nothing that the model would see."""
        return 2 * max(self.width, self.height)

    def __call__(self, image: Image.Image) -> Tensor:
        """`image` (RGB) as (3, height, width) float32."""
        return self._normalise(self._resize(image, self.width, self.height))

    def tiles(self, image: Image.Image, columns: int, rows: int) -> Tensor:
        """`image` (RGB) cut into a grid, row by row, followed by the whole image if there is more than one tile.

        (tiles, 3, height, width) float32; each tile has the size of an image.
        """
        if columns * rows == 1:
            return self(image)[None]
        whole = self._normalise(self._resize(image, columns * self.width, rows * self.height))
        grid = whole.view(3, rows, self.height, columns, self.width).permute(1, 3, 0, 2, 4)
        return torch.cat([grid.flatten(0, 1), self(image)[None]])

    def _resize(self, image: Image.Image, width: int, height: int) -> _Bytes:
        return np.asarray(image.resize((width, height), self._resample))

    def _normalise(self, pixels: _Bytes) -> Tensor:
        """(height, width, 3) bytes as (3, height, width) float32."""
        return torch.from_numpy(np.stack([self._normalised[channel][pixels[..., channel]] for channel in range(3)]))
