"""A row's image: its file, the key of its cached prefix, and its crops until they are encoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from looksee.core import images
from looksee.models.moondream.config import VisionConfig
from looksee.models.moondream.crops.tiling import Crops, cut


@dataclass(slots=True)
class CroppedImage:
    """`digest` is the file's sha256. The crops take up to 5.3 MiB, the file mostly less, so only the file is kept."""

    data: bytes
    digest: bytes = field(init=False)
    _crops: Crops | None = None

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256(self.data).digest()

    @property
    def nbytes(self) -> int:
        """The bytes of the file and of the crops, while there are any."""
        crops = self._crops  # another thread may drop them
        return len(self.data) + (crops.pixels.nbytes if crops is not None else 0)

    def crops(self, config: VisionConfig) -> Crops:
        """The crops of the upright image, cut at the first call. Raises CorruptImage."""
        if self._crops is None:
            self._crops = cut(images.decode(self.data), config)
        return self._crops

    def drop_crops(self) -> None:
        """Free the crops, once they are encoded; `crops` cuts them again."""
        self._crops = None
