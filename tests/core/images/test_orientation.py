"""Which way up a picture is, wherever its file says it: its size and its pixels alike."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest

from looksee.core.images.orientation import found
from tests.core.images import kinds
from tests.core.images.kinds import SEEN, SOLID, TURNED_BY
from tests.core.images.test_rendering import looks


def stored(orientation: int, kind: str, **options: object) -> bytes:
    return kinds.file(SOLID.transpose(TURNED_BY[orientation]), kind, **options)


@pytest.mark.parametrize("orientation", TURNED_BY)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_exif(kind: str, orientation: int) -> None:
    looks(stored(orientation, kind, exif=kinds.exif(orientation)), SEEN, 5)


@pytest.mark.parametrize("orientation", TURNED_BY)
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tag_of_tiff(orientation: int, compression: str | None) -> None:
    looks(stored(orientation, "TIFF", tiffinfo={0x0112: orientation}, compression=compression), SEEN, 5)


_TEXT = kinds.raw_profile("exif", kinds.exif(6))
_XMP = b"XML:com.adobe.xmp\0"

IN_PNG: dict[str, tuple[bytes, bytes]] = {
    "eXIf": (b"eXIf", kinds.exif(6).removeprefix(b"Exif\0\0")),
    "eXIf with a header": (b"eXIf", kinds.exif(6)),
    "raw profile": (b"tEXt", b"Raw profile type exif\0" + _TEXT),
    "packed raw profile": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(_TEXT)),
    "raw profile of the other name": (b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(_TEXT)),
    "international raw profile": (b"iTXt", b"Raw profile type exif\0\0\0\0\0" + _TEXT),
    "XMP": (b"iTXt", _XMP + b"\0\0\0\0" + kinds.xmp(6)),
    "packed XMP": (b"iTXt", _XMP + b"\1\0en\0name\0" + zlib.compress(kinds.xmp(6))),
    "raw profile of XMP": (b"tEXt", b"Raw profile type xmp\0" + kinds.raw_profile("xmp", kinds.xmp(6))),
}


@pytest.mark.parametrize("late", [False, True], ids=["in front of the pixels", "behind the pixels"])
@pytest.mark.parametrize("name", IN_PNG)
def test_a_png_says_it_in_many_places(name: str, late: bool) -> None:
    looks(kinds.png_with(stored(6, "PNG"), *IN_PNG[name], late=late), SEEN, 0)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_xmp(kind: str) -> None:
    looks(stored(6, kind, xmp=kinds.xmp(6)), SEEN, 5)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_xmp_in_tiff(orientation: int) -> None:
    looks(stored(orientation, "TIFF", tiffinfo={700: kinds.xmp(orientation)}), SEEN, 0)


def test_exif_counts_before_xmp() -> None:
    looks(stored(6, "JPEG", exif=kinds.exif(6), xmp=kinds.xmp(3)), SEEN, 5)
    looks(stored(6, "TIFF", tiffinfo={0x0112: 6, 700: kinds.xmp(3)}), SEEN, 5)


def _entry(order: str, kind: int, count: int, value: bytes) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    return (
        mark
        + struct.pack(f"{order}HIH", 42, 8, 1)
        + struct.pack(f"{order}HHI", 0x0112, kind, count)
        + value.ljust(4, b"\0")
    )


@pytest.mark.parametrize(
    ("exif", "expected"),
    [
        (_entry("<", 3, 1, b"\6\0"), 6),
        (_entry(">", 3, 1, b"\0\6"), 6),
        (_entry(">", 4, 1, b"\0\0\0\6"), 6),
        (_entry("<", 1, 1, b"\6"), 6),
        (b"Exif\0\0" + _entry("<", 3, 1, b"\6\0"), 6),
        (b"Exif\0\0Exif\0\0" + _entry("<", 3, 1, b"\6\0"), 6),
        (_entry("<", 3, 2, b"\6\0\1\0"), 6),
        (_entry("<", 3, 1, b"\0\0"), 1),
        (_entry("<", 3, 1, b"\x09\0"), 1),
        (_entry("<", 2, 2, b"6\0"), 1),
        (_entry("<", 3, 1, b"\6\0")[:18], 1),
        (b"II*\0\xff\xff\xff\xff", 1),
        (b"garbage", 1),
        (b"", 1),
    ],
)
def test_exif_as_programs_write_it(exif: bytes, expected: int) -> None:
    assert found(exif, b"") == expected


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda: kinds.xmp(8), 8),
        (lambda: b"<tiff:Orientation>8</tiff:Orientation>", 8),
        (lambda: b"<tiff:Orientation> 8 </tiff:Orientation>", 8),
        (lambda: b"tiff:Orientation = '8'", 8),
        (lambda: kinds.xmp(8).decode().encode("utf-16-le"), 8),
        (lambda: kinds.xmp(9), 1),
        (lambda: b"\xff\xfe not XMP", 1),
    ],
)
def test_xmp_as_programs_write_it(write: Callable[[], bytes], expected: int) -> None:
    assert found(b"", write()) == expected
