"""What is known of a picture without decoding it: its format, its size as a person sees it, and its hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from looksee.core import errors
from looksee.core.image_formats import FORMATS, accepted
from looksee.core.images import orientation
from looksee.core.images.decoding import opened


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a picture may be: bytes in the file, pixels in the picture, pixels on its smallest side, its format."""

    file_bytes: int
    pixels: int
    smallest_side: int
    formats: tuple[str, ...] = tuple(FORMATS)

    @property
    def too_long(self) -> str:
        """What is wrong with a longer file, and what moves the limit."""
        return f"has more than {mib(self.file_bytes)}; MAX_CONTENT_LENGTH raises the limit"


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
        raise errors.FileTooLarge(f"The file {limits.too_long}.", param=param)
    kind = accepted(data, limits.formats, param=param)
    try:
        info, image = opened(data, kind)
        with image:
            width, height = image.size
            sideways = orientation.sideways(info.orientation)
    except Exception as error:  # a hostile header can make Pillow's parsers raise nearly anything
        raise errors.CorruptImage("The picture is damaged and cannot be read.", param=param) from error
    if width * height > limits.pixels:
        raise errors.ImageTooLarge(
            f"The picture has {width} x {height} pixels; at most {limits.pixels} in all are accepted; "
            "LOOKSEE_MAX_PIXELS raises the limit.",
            param=param,
        )
    if min(width, height) < limits.smallest_side:
        raise errors.ImageTooSmall(
            f"The picture has {width} x {height} pixels; each side must have at least {limits.smallest_side}; "
            "LOOKSEE_MIN_SIDE lowers the limit.",
            param=param,
        )
    if sideways:
        width, height = height, width
    return Picture(data, hashlib.sha256(data).hexdigest(), kind.media_type, width, height)


def mib(count: int) -> str:
    """A number of bytes as text, in MiB."""
    return f"{count / 2**20:.1f} MiB"
