"""The formats of pictures: how each is known by its first bytes, and what to do with those that are not accepted."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec

from looksee.core import errors


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A format: its name in settings and in messages, its media type, Pillow's names and the usual file endings."""

    name: str
    title: str
    media_type: str
    pillow: tuple[str, ...]
    suffixes: tuple[str, ...]


FORMATS = {
    one.name: one
    for one in (
        ImageFormat("jpeg", "JPEG", "image/jpeg", ("JPEG", "MPO"), (".jpg", ".jpeg", ".jpe", ".jfif")),
        ImageFormat("png", "PNG", "image/png", ("PNG",), (".png", ".apng")),
        ImageFormat("webp", "WebP", "image/webp", ("WEBP",), (".webp",)),
        ImageFormat("gif", "GIF", "image/gif", ("GIF",), (".gif",)),
        ImageFormat("bmp", "BMP", "image/bmp", ("BMP",), (".bmp", ".dib")),
        ImageFormat("tiff", "TIFF", "image/tiff", ("TIFF",), (".tif", ".tiff")),
        ImageFormat("avif", "AVIF", "image/avif", ("AVIF",), (".avif",)),
        ImageFormat("heic", "HEIC", "image/heic", ("HEIF",), (".heic", ".heif")),
    )
}

_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

_EXPORT = "export it as PNG"
_FRAME = "send its frames as pictures"
# What people send instead of a picture, by the first bytes, and what to do with it.
_OTHERS: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (re.compile(rb"\s*%PDF"), "a PDF", "send its pages as PNG pictures"),
    (
        re.compile(rb"(?s)(\xef\xbb\xbf)?\s*<(\?xml|!--|!DOCTYPE svg|svg).{0,4000}?<svg|\s*<svg"),
        "an SVG drawing",
        _EXPORT,
    ),
    (re.compile(rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)"), "an HTML page", "send the picture itself"),
    (re.compile(rb"\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01\xba|FLV", re.DOTALL), "a video", _FRAME),
    (re.compile(rb"....ftyp", re.DOTALL), "a video", _FRAME),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 picture", _EXPORT),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL picture", _EXPORT),
    (re.compile(rb"8BPS"), "a Photoshop document", _EXPORT),
    (re.compile(rb"\0\0\x01\0"), "an icon", _EXPORT),
    (re.compile(rb"\x1f\x8b"), "compressed with gzip", "send it unpacked"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive", "send the pictures in it"),
)


def sniff(data: bytes) -> ImageFormat | None:
    """The format that the first bytes say; None if they are of no picture that is known here."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return FORMATS[name]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return FORMATS["webp"]
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BITMAP_HEADERS:
        return FORMATS["bmp"]
    if data[4:8] == b"ftyp":
        size = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, size, 4))}
        if brands & _AVIF_BRANDS:
            return FORMATS["avif"]
        if brands & _HEIC_BRANDS:
            return FORMATS["heic"]
    return None


def accepted(data: bytes, names: Collection[str], *, param: str | None = None) -> ImageFormat:
    """The format of a file, if it is one of `names`. Raises UnsupportedImageType, which says what to send instead."""
    found = sniff(data)
    if found is not None and found.name in names and (found.name != "heic" or readable("heic")):
        return found
    if found is None:
        what = next((f"The file is {what}: {hint}." for form, what, hint in _OTHERS if form.match(data)), None)
        message = what or f"The file is not a picture. Accepted are {listed(names)}."
        raise errors.UnsupportedImageType(message, param=param)
    if found.name in names:
        reason = "it needs the package pillow-heif (pip install 'looksee[heif]')"
    else:
        reason = "LOOKSEE_IMAGE_FORMATS leaves it out"
    raise errors.UnsupportedImageType(
        f"{found.title} pictures are not accepted here, since {reason}. Accepted are {listed(names)}.", param=param
    )


def listed(names: Collection[str], word: str = "and") -> str:
    """The titles of formats, in one order: `JPEG, PNG and WebP`."""
    titles = [one.title for one in FORMATS.values() if one.name in names and readable(one.name)]
    return f" {word} ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def readable(name: str) -> bool:
    """Whether this installation can read a format."""
    return name != "heic" or find_spec("pillow_heif") is not None
