"""How much a file makes its decoder do. Limits of pixels do not bound that: a few bytes can ask for all of them again.

A scan of a progressive JPEG goes over the whole picture, in as little as 38 bytes; a tile of a TIFF is decoded whole
however little of it is shown; and chunks, segments and blocks of a few bytes each are walked one by one, in Python.
"""

from __future__ import annotations

import re
import struct

from PIL import Image
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

_MOST_SCANS = 100  # encoders write ten or so
_MOST_OF_TILE = 4096 * 4096  # pixels; usual are 256 x 256
_MOST_STRIPS = 100_000  # or tiles; one of each row at most
_FEW, _BYTES_EACH = 1000, 128  # pieces that any file may have, and bytes that each further one must have on average
# What ends a scan: a marker that is none of those inside (a stuffed zero, restarts, fill).
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_SCAN, _END = 0xDA, 0xD9
_STRIPS, _TILES = 273, 324  # the tags whose count is that of the strips, and of the tiles
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B  # what begins a block of a GIF, and its end


class Pieces:
    """Counts the chunks, segments or blocks of a file. Raises ValueError where they are far too many for its length."""

    def __init__(self, data: bytes) -> None:
        self._left = _FEW + len(data) // _BYTES_EACH

    def count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError("there are too many pieces")


def check_closed(data: bytes, kind: str) -> None:
    """Raises ValueError for a GIF or TIFF that cannot even be opened in reasonable time."""
    if kind == "gif":
        _check_blocks(data)
    elif kind == "tiff":
        _check_strips(data)


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
    at, scans, pieces = 2, 0, Pieces(data)
    while (found := _MARKER.search(data, at)) and found[1][0] != _END:
        pieces.count()
        scans += found[1][0] == _SCAN
        if scans > _MOST_SCANS:
            raise ValueError("there are too many scans")
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")


def _check_blocks(data: bytes) -> None:
    """Walk through what stands before the first frame."""
    if len(data) < 13:
        return
    at, pieces = 13 + (3 * (2 << (data[10] & 7)) if data[10] & 0x80 else 0), Pieces(data)
    while at < len(data) and data[at] not in (_IMAGE, _TRAILER):
        pieces.count()
        if data[at] != _EXTENSION:  # passed over, as Pillow does
            at += 1
            continue
        at += 2
        while at < len(data) and data[at]:
            pieces.count()
            at += 1 + data[at]
        at += 1


def _check_strips(data: bytes) -> None:
    """Read of the first directory how many strips or tiles there are."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    start, count, entry, count_of = (
        (8, "Q", 20, struct.Struct(order + "HHQ")) if is_big else (4, "H", 12, struct.Struct(order + "HHI"))
    )
    try:
        (at,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, start)
        (entries,) = struct.unpack_from(order + count, data, at)
        at += struct.calcsize(count)
        for number in range(min(entries, 2**16)):
            tag, _, values = count_of.unpack_from(data, at + entry * number)
            if tag in (_STRIPS, _TILES) and values > _MOST_STRIPS:
                raise ValueError("there are too many strips or tiles")
    except struct.error:
        return  # Pillow says what is wrong
