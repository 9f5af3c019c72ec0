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
        self._size = (size["width"], size["height"])
        self._resample = Image.Resampling(processor.resample)
        values = (np.arange(256, dtype=np.float64) * processor.rescale_factor).astype(np.float32)[None, :]
        mean, std = (
            np.array(numbers, dtype=np.float32)[:, None] for numbers in (processor.image_mean, processor.image_std)
        )
        self._table = (values - mean) / std  # (3, 256)

    def __call__(self, picture: Image.Image) -> Tensor:
        """`picture` (RGB) as (3, height, width) float32."""
        resized = np.asarray(picture.resize(self._size, self._resample))
        return torch.from_numpy(np.stack([self._table[channel][resized[..., channel]] for channel in range(3)]))
