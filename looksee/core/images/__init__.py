"""Pictures as they come in: what type the bytes really are, the limits, the hash, and what a person sees of them.

`examine` reads headers only and is cheap enough for the gateway; `decode` is the runner's work. A file's side
information (EXIF, XMP, colour profile, text) is read apart from its pixels, so that none of it can spoil a picture.
"""

from __future__ import annotations

from looksee.core.image_formats import FORMATS, ImageFormat, sniff
from looksee.core.images.decoding import decode
from looksee.core.images.encoded import from_base64
from looksee.core.images.examine import ImageLimits, Picture, examine, mib
from looksee.core.images.rendering import rendered

__all__ = [
    "FORMATS",
    "PREPROCESSING",
    "ImageFormat",
    "ImageLimits",
    "Picture",
    "decode",
    "examine",
    "from_base64",
    "mib",
    "rendered",
    "sniff",
]

PREPROCESSING = "2"  # part of every cache key: raise it when the same bytes would give other pixels
