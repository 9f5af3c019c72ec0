"""A row's picture: its file, the name its prefix is kept by, and its crops while somebody still has to encode them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from looksee.core import images
from looksee.models.moondream.config import VisionConfig
from looksee.models.moondream.crops.tiling import Crops, cut


@dataclass(slots=True)
class CroppedPicture:
    """`digest` is the file's sha256. Crops are up to 5.3 MiB, the file mostly less, so only the file stays."""

    data: bytes
    digest: bytes = field(init=False)
    _crops: Crops | None = None

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256(self.data).digest()

    def crops(self, config: VisionConfig) -> Crops:
        """The crops of the upright picture. Raises CorruptImage."""
        if self._crops is None:
            self._crops = cut(images.decode(self.data), config)
        return self._crops

    def forget_crops(self) -> None:
        """Somebody has encoded them. Who needs them again cuts them again."""
        self._crops = None
