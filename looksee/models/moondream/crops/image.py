"""A row's image: its file, the key of its cached prefix, and its crops until they are encoded."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from looksee.core import images
from looksee.models.moondream.config import VisionConfig
from looksee.models.moondream.crops.tiling import Crops, cut


class _Cut:
    """The crops of a picture, cut at the first call, for all rows that hold this."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crops: Crops | None = None

    @property
    def nbytes(self) -> int:
        return self._crops.pixels.nbytes if self._crops is not None else 0

    def crops(self, data: bytes, config: VisionConfig) -> Crops:
        with self._lock:
            if self._crops is None:
                self._crops = cut(images.decode(data), config)
            return self._crops


class SharedCrops:
    """The crops that any row holds, by their pictures' digests: rows about one picture that wait at the same time share
    them. Any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cuts: WeakValueDictionary[bytes, _Cut] = WeakValueDictionary()

    def of(self, digest: bytes) -> _Cut:
        with self._lock:
            found = self._cuts.get(digest)
            if found is None:
                found = self._cuts[digest] = _Cut()
            return found


@dataclass(slots=True)
class CroppedImage:
    """`digest` is the file's sha256. The crops take up to 5.3 MiB, the file mostly less, so only the file is kept."""

    data: bytes
    shared: SharedCrops
    digest: bytes = field(init=False)
    _cut: _Cut | None = field(init=False)

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256(self.data).digest()
        self._cut = self.shared.of(self.digest)

    @property
    def nbytes(self) -> int:
        """The bytes of the file and of the crops, while there are any; those of shared crops count for each."""
        cut = self._cut  # another thread may drop them
        return len(self.data) + (cut.nbytes if cut is not None else 0)

    @property
    def has_crops(self) -> bool:
        return self._cut is not None

    def crops(self, config: VisionConfig) -> Crops:
        """The crops of the upright image, cut at the first call. Raises CorruptImage."""
        if self._cut is None:
            self._cut = self.shared.of(self.digest)
        return self._cut.crops(self.data, config)

    def drop_crops(self) -> None:
        """Free the crops, once they are encoded and no other row needs them; `crops` cuts them again."""
        self._cut = None
