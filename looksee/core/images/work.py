"""How much a file makes its decoder do. Limits of pixels do not bound that: a few bytes can ask for all of them again.

A scan of a progressive JPEG goes over the whole picture, in as little as 38 bytes; a tile of a TIFF is decoded whole
however little of it is shown.
"""

from __future__ import annotations

import re

from PIL import Image
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

_MOST_SCANS = 100  # encoders write ten or so
_MOST_SEGMENTS = 1000  # between the scans
_MOST_OF_TILE = 4096 * 4096  # pixels; usual are 256 x 256
# What ends a scan: a marker that is none of those inside (a stuffed zero, restarts, fill).
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_SCAN, _END = 0xDA, 0xD9


def check(data: bytes, image: Image.Image) -> None:
    """Raises ValueError for a file whose decoding takes far more than its pixels need.

    `data` is the file as the decoder gets it, `image` what is opened of it.
    """
    if image.format in ("JPEG", "MPO"):
        _check_scans(data)
    elif isinstance(image, TiffImageFile):
        width, height = (int(image.tag_v2.get(tag, 0)) for tag in (TILEWIDTH, TILELENGTH))
        if width * height > _MOST_OF_TILE:
            raise ValueError("a tile is too large")


def _check_scans(data: bytes) -> None:
    """Walk from marker to marker: what stands in a segment only looks like one."""
    at, scans = 2, 0
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None or found[1][0] == _END:
            return
        scans += found[1][0] == _SCAN
        if scans > _MOST_SCANS:
            raise ValueError("there are too many scans")
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    raise ValueError("there are too many segments")
