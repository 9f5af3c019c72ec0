"""One picture in every kind of file that people have: all of them look the same to a person."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw

from tests.support.files import chunk, encoded

SIZE = (60, 40)
RED, GREEN = (220, 40, 40), (40, 170, 60)
# Where a person sees which colour.
SEEN = {(4, 4): RED, (55, 4): GREEN, (4, 35): (255, 255, 255), (30, 20): (255, 255, 255)}
GREYS = {at: (round(0.299 * r + 0.587 * g + 0.114 * b),) * 3 for at, (r, g, b) in SEEN.items()}

# How a picture is stored so that this orientation makes it upright again.
TURNED_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
LOSSLESS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 95},
    "HEIF": {"quality": 95},
}


def drawn(ground: tuple[int, int, int, int] = (255, 255, 255, 255)) -> Image.Image:
    """RGBA: a red and a green box on top, and a ground that may be transparent."""
    picture = Image.new("RGBA", SIZE, ground)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, 19, 12), fill=(*RED, 255))
    pen.rectangle((40, 0, 59, 12), fill=(*GREEN, 255))
    return picture


SOLID = drawn().convert("RGB")
CUT_OUT = drawn((0, 0, 0, 0))  # as many editors store it: what is hidden is black


def on_black() -> Image.Image:
    """What hides behind the cut-out's transparency."""
    return CUT_OUT.convert("RGB")


def file(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    return encoded(picture, kind, **LOSSLESS.get(kind, {}), **options)


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes()


def xmp(orientation: int) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
        f'tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def png_with(data: bytes, name: bytes, body: bytes, *, late: bool = False) -> bytes:
    """A PNG with one more chunk, in front of its pixels or behind them."""
    at = data.rindex(b"IEND") - 4 if late else data.index(b"IDAT") - 4
    return data[:at] + chunk(name, body) + data[at:]


def raw_profile(kind: str, content: bytes) -> bytes:
    """A text as ImageMagick writes what PNG had no chunk for: the length, and hexadecimal digits in lines."""
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\n{kind}\n{len(content):8}\n{lines}\n".encode()


def wide_gamut() -> bytes:
    """An ICC profile of a space far larger than sRGB, with a gamma of 1.8: read as sRGB its colours are others."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    tags: dict[bytes, bytes] = {}
    points = ((0.9642, 1.0, 0.8249), (0.7977, 0.288, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))
    for name, point in zip((b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ"), points, strict=True):
        tags[name] = b"XYZ \0\0\0\0" + fixed(*point)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(1.8 * 256)) + b"\0\0"
    body, table, start = b"", struct.pack(">I", len(tags)), 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body


def in_wide_gamut() -> Image.Image:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(wide_gamut()))
    picture = ImageCms.profileToProfile(SOLID, ImageCms.createProfile("sRGB"), profile, outputMode="RGB")
    assert picture is not None
    return picture


def greys(kind: str, dtype: str) -> Image.Image:
    """Black where the cut-out is transparent, in more than 8 bits."""
    values = np.asarray(on_black().convert("L"))
    if kind == "F":
        return Image.fromarray(values.astype(np.float32) / 255)
    wide = (values.astype(np.uint16) * 257).astype(dtype)
    return Image.frombytes(kind, SIZE, wide.tobytes()) if kind == "I;16B" else Image.fromarray(wide)


def with_palette() -> Image.Image:
    """The cut-out in few colours, one of them transparent."""
    return CUT_OUT.quantize(8)


def grey_cut_out() -> Image.Image:
    return CUT_OUT.convert("LA")


def _with_profile(kind: str) -> bytes:
    return file(in_wide_gamut(), kind, icc_profile=wide_gamut())


Kinds = dict[str, Callable[[], bytes]]

SOLID_KINDS: Kinds = {
    **{kind: partial(file, SOLID, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")},
    "TIFF with LZW": lambda: file(SOLID, "TIFF", compression="tiff_lzw"),
    "TIFF with JPEG": lambda: file(SOLID, "TIFF", compression="jpeg"),
    "TIFF of two pages": lambda: file(SOLID, "TIFF", save_all=True, append_images=[Image.new("RGB", SIZE)]),
    "TIFF in CMYK": lambda: file(SOLID.convert("CMYK"), "TIFF"),
    "TIFF in Lab": lambda: file(_in_lab(), "TIFF"),
    "moving GIF": lambda: file(SOLID, "GIF", save_all=True, append_images=[Image.new("RGB", SIZE)]),
    "moving AVIF": lambda: file(SOLID, "AVIF", save_all=True, append_images=[Image.new("RGB", SIZE)]),
    "CMYK JPEG": lambda: file(SOLID.convert("CMYK"), "JPEG"),
    "palette BMP": lambda: file(SOLID.quantize(8), "BMP"),
}
CUT_OUT_KINDS: Kinds = {
    **{f"{kind} with alpha": partial(file, CUT_OUT, kind) for kind in ("PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF")},
    "palette with alpha": lambda: file(with_palette()),
    "palette with a transparent colour": lambda: with_transparent_entry(),
    "RGB with a transparent colour": lambda: file(on_black(), transparency=(0, 0, 0)),
    "16-bit RGB with a transparent colour": lambda: sixteen_bits_of_colour(),
}
GREY_KINDS: Kinds = {
    "LA": lambda: file(grey_cut_out()),
    "LA TIFF": lambda: file(grey_cut_out(), "TIFF"),
    "LA WebP": lambda: file(grey_cut_out(), "WEBP"),
    "grey with a transparent value": lambda: file(on_black().convert("L"), transparency=0),
    "16-bit grey with a transparent value": lambda: file(greys("I;16", "<u2"), transparency=0),
}
PROFILE_KINDS: Kinds = {
    kind: partial(file, in_wide_gamut(), kind, icc_profile=wide_gamut())
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "HEIF")
} | {
    "raw profile in PNG": lambda: png_with(
        file(in_wide_gamut()), b"zTXt", b"Raw profile type icc\0\0" + zlib.compress(raw_profile("icc", wide_gamut()))
    ),
}


def _in_lab() -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    picture = ImageCms.profileToProfile(SOLID, *profiles, outputMode="LAB")
    assert picture is not None
    return picture


def with_transparent_entry() -> bytes:
    """A palette whose entry of the ground is told to be transparent, and is black."""
    picture = on_black().quantize(8)
    ground = picture.getpixel((30, 20))
    return file(picture, transparency=ground)


def sixteen_bits_of_colour() -> bytes:
    """A PNG of 16 bits a channel, whose transparent colour is told in 16 bits."""
    values = np.asarray(on_black()).astype(">u2") * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"tRNS", bytes(6)) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")
