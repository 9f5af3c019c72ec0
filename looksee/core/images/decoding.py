"""From a file's bytes to what a person sees of it."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import random
import warnings

from PIL import AvifImagePlugin, Image, ImageChops, _imaging

from looksee.core import errors
from looksee.core.image_formats import FORMATS, ImageFormat, sniff
from looksee.core.images import orientation, side_info, work
from looksee.core.images.rendering import rendered
from looksee.core.images.side_info import SideInfo

# Our own limit is checked on the header, before anything is decoded; Pillow's would only warn about smaller pictures.
Image.MAX_IMAGE_PIXELS = None

# It tells each oddity of a file to the log, in words that the file fills in: as many lines as its sender wants.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

# So does libtiff, on the standard error, past Python: a line for each row of a fax. Its names are found through the
# library that is linked with it, but in a Pillow that has it inside.
with contextlib.suppress(AttributeError, OSError):
    _LIBRARIES = ctypes.CDLL(_imaging.__file__)
    for _name in ("TIFFSetErrorHandler", "TIFFSetErrorHandlerExt", "TIFFSetWarningHandler", "TIFFSetWarningHandlerExt"):
        getattr(_LIBRARIES, _name)(None)

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # of one picture; several are decoded at a time

_END_OF_JPEG = b"\xff\xd9"
_NOISE = bytes(random.Random(0).choices(range(255), k=8192))  # without 0xff: no marker is in it


def decode(data: bytes, *, param: str | None = None, least_side: int | None = None) -> Image.Image:
    """The picture as 8-bit RGB in sRGB, upright, on white where it is transparent, first frame of an animation.

    For who will make it smaller: a JPEG may be decoded at a half, a quarter or an eighth of its size, which is some
    times less work, as long as no side has fewer than `least_side` pixels then.

    Raises CorruptImage when the bytes after a good header are damaged; `param` says which picture of several that is.
    """
    try:
        kind = sniff(data)
        if kind is None:
            raise ValueError("no picture")
        info, image = opened(data, kind)
        if kind.name == "jpeg" and info.pixels.rfind(_END_OF_JPEG) < 0:
            image = _without_end(info.pixels)
        elif kind.name == "jpeg" and least_side:
            image.draft(None, (least_side, least_side))
        image.load()
        return rendered(orientation.upright(image, info.orientation), info.profile, depth=info.depth)
    except Exception as error:  # hostile bytes can make Pillow's decoders raise nearly anything
        raise errors.CorruptImage("The picture is damaged and cannot be read.", param=param) from error


def opened(data: bytes, kind: ImageFormat) -> tuple[SideInfo, Image.Image]:
    """The file's side information, and its picture with nothing decoded yet.

    Raises what Pillow raises, and ValueError for a file whose decoding takes far more than its pixels need.
    """
    work.check_closed(data, kind.name)
    info = side_info.split(data, kind.name) if kind.name in ("jpeg", "png", "webp") else SideInfo(data)
    if kind.name == "heic":
        import pillow_heif  # an extra, and a large library

        pillow_heif.register_heif_opener(thumbnails=False)
        pillow_heif.options.DECODE_THREADS = 1
    image = Image.open(io.BytesIO(info.pixels), formats=kind.pillow)
    work.check(info.pixels, image)
    if kind.name == "avif":
        info.exif, info.xmp = image.info.get("exif") or b"", image.info.get("xmp") or b""
    elif kind.name == "tiff":  # by its own tag Pillow turns it, and by XMP too unless that is taken away
        told, info.xmp = image.info.pop("xmp", b""), b""
        if orientation.TAG not in image.getexif():
            info.xmp = told
    info.profile = info.profile or image.info.get("icc_profile") or b""
    return info, image


def _without_end(data: bytes) -> Image.Image:
    """A JPEG whose end marker is missing, as cameras and interrupted copies leave it.

    The decoder fills up what is missing and does not tell. So the end is read twice, with noise in its place once: a
    picture that is whole is the same both times. Raises ValueError for one that is not.
    """
    image = Image.open(io.BytesIO(data + _END_OF_JPEG), formats=FORMATS["jpeg"].pillow)
    noisy = Image.open(io.BytesIO(data + _NOISE + _END_OF_JPEG), formats=FORMATS["jpeg"].pillow)
    if ImageChops.difference(image, noisy).getbbox() is not None:
        raise ValueError("a part of the picture is missing")
    return image
