"""Small files that ask for much: of pixels, of frames, of passes over the picture, of what stands beside it."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Mapping, Sequence

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MANY = 4000


@functools.cache
def bombs() -> Mapping[str, bytes]:
    """By what they ask for."""
    deflated = zlib.compress(bytes(16 * 2**20), 9)
    png = [_chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0)), _chunk(b"IDAT", zlib.compress(bytes(3630)))]
    end = _chunk(b"IEND", b"")
    gif, header = _gif()
    big_tag = 2**20
    return {
        "png of many pixels": _png(2**31 - 1, 2**31 - 1, b""),
        "png of pixels that are there": _png(1400, 1400, zlib.compress(bytes(1400 * 4201), 9)),
        "png of no pixels": _png(0, 0, b""),
        "png that goes on": _png(40, 30, deflated),
        "png of texts": _SIGNATURE + png[0] + _chunk(b"zTXt", b"Comment\0\0" + deflated) * 200 + png[1] + end,
        "png of profiles": _SIGNATURE + png[0] + _chunk(b"iCCP", b"x\0\0" + deflated) * 50 + png[1] + end,
        "png of raw profiles": _SIGNATURE
        + png[0]
        + _chunk(b"zTXt", b"Raw profile type exif\0\0" + deflated) * 50
        + png[1]
        + end,
        "png of small chunks": _SIGNATURE + png[0] + _chunk(b"IDAT", b"") * _MANY + png[1] + end,
        "png of many headers": _SIGNATURE + png[0] * _MANY + png[1] + end,
        "jpeg of many pixels": _jpeg().replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 65500, 65500), 1),
        "jpeg of many scans": progressive(_MANY),
        "jpeg of scans behind false ends": progressive(_MANY, between=b"\xff\xfe\x00\x04\xff\xd9"),
        "jpeg of many segments": _jpeg()[:2] + b"\xff\xfe\x00\x02" * 100_000 + _jpeg()[2:],
        "jpeg of exif in circles": _with_exif(_circle()),
        "gif of many frames": gif + gif[header:-1] * _MANY + b";",
        "gif of many pixels": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6) + gif[header:],
        "gif whose frame is larger": gif[:6] + struct.pack("<HH", 3, 3) + gif[10:],
        "gif of comments": gif[:header] + (b"!\xfe\x01a\0" * 20_000) + gif[header:],
        "gif of a long comment": gif[:header] + b"!\xfe" + b"\x01a" * 200_000 + b"\0" + gif[header:],
        "tiff of a large tile": _tiff(_tiles(20_000), zlib.compress(bytes(2**20), 9)),
        "tiff of many pixels": _tiff([(256, 4, 1, 2**31), (257, 4, 1, 2**31), *_STRIP], b""),
        "tiff whose tags share their bytes": _tiff(
            [(256, 3, 1, 10), (257, 3, 1, 10), *_STRIP, *((40_000 + n, 1, big_tag, 8) for n in range(500))],
            bytes(big_tag),
        ),
        "tiff of many strips": _tiff([*_SIDES, *_STRIP[:3], (273, 4, 50_000, 8)], bytes(2**18)),
        "tiff in circles": _circle() + bytes(100),
        "webp of many pixels": b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + struct.pack("<I", 2**28 - 1) + bytes(9),
        "bmp of many pixels": _bmp(2**31 - 1, 2**31 - 1),
        "bmp upside down": _bmp(4, -(2**31)),
        "avif whose frame is larger": _smaller_box("AVIF"),
        "heic whose frame is larger": _smaller_box("HEIF"),
    }  # fmt: skip


_SIDES = ((256, 3, 1, 10), (257, 3, 1, 10))
_STRIP: Sequence[tuple[int, int, int, int]] = (
    *((258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 10)),
    (279, 4, 1, 100),
)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png(width: int, height: int, body: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _encoded(image: Image.Image, kind: str, **options: bool) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _jpeg(*, progressive: bool = False) -> bytes:
    return _encoded(Image.new("L", (64, 64), 128), "JPEG", progressive=progressive)


def progressive(count: int, between: bytes = b"") -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = _jpeg(progressive=True)
    scan = data[data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")) : -2]
    return data[:-2] + (between + scan) * count + data[-2:]


def _with_exif(exif: bytes) -> bytes:
    data = _jpeg()
    content = b"Exif\0\0" + exif
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]


def _circle() -> bytes:
    """A TIFF structure whose directories name each other as the next, and as their own children."""
    entries = [(0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8), (0x014A, 4, 1, 8)]
    return _tiff(entries, b"", following=8)


def _tiff(entries: Sequence[tuple[int, int, int, int]], data: bytes, following: int = 0) -> bytes:
    """Of one directory, at byte 8, and data behind it."""
    listed = sorted(entries)
    directory = struct.pack("<H", len(listed)) + b"".join(struct.pack("<HHII", *entry) for entry in listed)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following) + data


def _tiles(side: int) -> list[tuple[int, int, int, int]]:
    entries = [(256, 4, 1, 10), (257, 4, 1, 10), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    at = 8 + 2 + 12 * 10 + 4
    return [*entries, (322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, at), (325, 4, 1, 2000)]


def _gif() -> tuple[bytes, int]:
    """A small one, and where its first block begins."""
    data = _encoded(Image.new("P", (10, 10)), "GIF")
    return data, 13 + 3 * (2 << (data[10] & 7))


def _bmp(width: int, height: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 1, 1, 0, 0) + bytes(46)
    )


def _smaller_box(kind: str) -> bytes:
    """A file that says it has fewer pixels than the frame in it."""
    if kind == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            return b""
        pillow_heif.register_heif_opener()
    data = _encoded(Image.new("RGB", (600, 400), (200, 30, 30)), kind)
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 12, 12) + data[at + 8 :]
