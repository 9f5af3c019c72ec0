"""Pictures as they come in: what type the bytes really are, the limits, the hash, and decoding.

`examine` reads headers only and is cheap enough for the gateway; `decode` is the runner's work.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from looksee.core import errors

# Our own limit is checked on the header, before anything is decoded; Pillow's would only warn about smaller pictures.
Image.MAX_IMAGE_PIXELS = None

ACCEPTED = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
# Many phones put a second picture behind a JPEG; Pillow calls such a file MPO.
_FORMATS = {**{name: name for name in ACCEPTED}, "MPO": "JPEG"}
_SIGNATURES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))
PREPROCESSING = "1"  # part of every cache key: raise it when the same bytes would give other pixels
_ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 lie on their side
_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a picture may be: bytes in the file, pixels in the picture, pixels on its smallest side."""

    file_bytes: int
    pixels: int
    smallest_side: int


@dataclass(frozen=True, slots=True)
class Picture:
    """An examined picture: its bytes, their sha256 (hex) and its size in pixels as a person sees it."""

    data: bytes
    digest: str
    media_type: str
    width: int
    height: int


def examine(data: bytes, limits: ImageLimits, *, param: str | None = None) -> Picture:
    """Check a file against `limits` by its header and hash it.

    Raises EmptyFile, FileTooLarge, UnsupportedImageType, CorruptImage, ImageTooLarge or ImageTooSmall.
    """
    if not data:
        raise errors.EmptyFile("The file is empty.", param=param)
    if len(data) > limits.file_bytes:
        raise errors.FileTooLarge(f"The file has more than {mib(limits.file_bytes)}.", param=param)
    if media_type(data) is None:
        raise errors.UnsupportedImageType("The file is not a JPEG, PNG or WebP picture.", param=param)
    try:
        with Image.open(io.BytesIO(data), formats=tuple(ACCEPTED)) as image:
            width, height = image.size
            kind = _FORMATS[image.format or ""]
            # Asking a PNG for EXIF data that its header lacks would decode the whole picture.
            exif = image.getexif() if kind == "JPEG" or "exif" in image.info else {}
            sideways = exif.get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception as error:  # a hostile header can make Pillow's parsers raise nearly anything
        raise errors.CorruptImage("The picture is damaged and cannot be read.", param=param) from error
    if width * height > limits.pixels:
        raise errors.ImageTooLarge(
            f"The picture has {width} x {height} pixels; at most {limits.pixels} in all are accepted.", param=param
        )
    if min(width, height) < limits.smallest_side:
        raise errors.ImageTooSmall(
            f"The picture has {width} x {height} pixels; each side must have at least {limits.smallest_side}.",
            param=param,
        )
    if sideways:
        width, height = height, width
    return Picture(data, hashlib.sha256(data).hexdigest(), ACCEPTED[kind], width, height)


def mib(count: int) -> str:
    """A number of bytes as text, in MiB."""
    return f"{count / 2**20:.1f} MiB"


def media_type(data: bytes) -> str | None:
    """What the file's signature says that it is; None if that is nothing accepted here."""
    for signature, found in _SIGNATURES:
        if data.startswith(signature):
            return found
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def decode(data: bytes, *, param: str | None = None) -> Image.Image:
    """The picture as 8-bit RGB, upright (EXIF orientation applied), first frame of an animation.

    Raises CorruptImage when the bytes after a good header are damaged; `param` says which picture of several that is.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=tuple(ACCEPTED))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image if image.mode == "RGB" else _eight_bits(image).convert("RGB")
    except Exception as error:  # hostile bytes can make Pillow's decoders raise nearly anything
        raise errors.CorruptImage("The picture is damaged and cannot be read.", param=param) from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit greys scaled to 8 bits; Pillow would clip them, and nearly all of them turn white."""
    if not image.mode.startswith("I"):
        return image
    greys = np.asarray(image).astype(np.float32) / 257
    return Image.fromarray(np.rint(np.clip(greys, 0, 255)).astype(np.uint8))


def from_base64(text: str, limits: ImageLimits, *, param: str = "image") -> Picture:
    """Examine a picture given as a data URI or bare base64. Raises InvalidRequest beside the errors of `examine`."""
    prefix = _DATA_URI.match(text)
    encoded = text[prefix.end() :] if prefix else text
    if len(encoded) > limits.file_bytes * 4 // 3 + 4096:
        raise errors.FileTooLarge(f"The picture has more than {mib(limits.file_bytes)}.", param=param)
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InvalidRequest(
            f"'{param}' must be a picture in base64, bare or as a data URI.", param=param
        ) from error
    return examine(data, limits, param=param)
