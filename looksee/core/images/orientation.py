"""Which way up a picture is: the number from 1 to 8 of the Exif standard, wherever a file says it."""

from __future__ import annotations

import re
import struct

from PIL import Image

TAG = 0x0112
_FORMS = {1: "B", 3: "H", 4: "I"}  # of a value, by its type: programs write this number as any of them
_IN_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])\s*[\"'<]")
_MOST_TAGS = 1000

# How a stored picture is turned to be upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def found(exif: bytes, xmp: bytes) -> int:
    """The orientation that EXIF data say, else XMP; 1 (upright) where neither can be read."""
    return _of_exif(exif) or _of_xmp(xmp) or 1


def sideways(orientation: int) -> bool:
    """Whether width and height change places."""
    return orientation >= 5


def upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _of_exif(exif: bytes) -> int | None:
    """From the first directory of EXIF data, which are laid out as a TIFF file."""
    while exif.startswith(b"Exif\0"):  # some programs write the header twice
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for number in range(min(count, _MOST_TAGS)):
            at = start + 2 + 12 * number
            tag, kind, _ = struct.unpack_from(f"{order}HHI", exif, at)
            if tag == TAG and kind in _FORMS:
                (value,) = struct.unpack_from(order + _FORMS[kind], exif, at + 8)
                return value if 1 <= value <= 8 else None
    except struct.error:
        pass
    return None


def _of_xmp(xmp: bytes) -> int | None:
    match = _IN_XMP.search(xmp.replace(b"\0", b""))  # it may be in UTF-16
    return int(match[1]) if match else None
