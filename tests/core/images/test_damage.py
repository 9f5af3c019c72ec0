"""Damage that no viewer minds passes over, and truly damaged pixels do not."""

from __future__ import annotations

import random
import zlib

import pytest
from PIL import Image

from looksee.core import errors
from looksee.core.images import decode, side_info
from tests.core.images import kinds
from tests.core.images.kinds import SEEN, SOLID, png_with
from tests.core.images.test_rendering import looks
from tests.support.files import encoded

PNG = kinds.file(SOLID)
JPEG = kinds.file(SOLID, "JPEG")
LARGE = Image.frombytes("RGB", (96, 64), random.Random(3).randbytes(96 * 64 * 3)).resize((600, 400))


def _segment(marker: int, content: bytes, data: bytes = JPEG) -> bytes:
    return data[:2] + bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content + data[2:]


def _bad_sum(data: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk, whose checksum is wrong."""
    good = png_with(data, name, body)
    end = good.index(name) + 4 + len(body)
    return good[:end] + b"oops" + good[end + 4 :]


BESIDE: dict[str, bytes] = {
    "large profile": png_with(PNG, b"iCCP", b"press\0\0" + zlib.compress(b"random" + bytes(3 * 2**20))),
    "profile that is a bomb": png_with(PNG, b"iCCP", b"press\0\0" + zlib.compress(bytes(64 * 2**20))),
    "profile that does not unpack": png_with(PNG, b"iCCP", b"press\0\0garbage"),
    "profile of nothing": png_with(PNG, b"iCCP", b""),
    "text that is a bomb": png_with(PNG, b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 * 2**20))),
    "long text": png_with(PNG, b"tEXt", b"Comment\0" + bytes(70_000)),
    "text without a key": png_with(PNG, b"tEXt", b"\xff\xfe"),
    "raw profile of no digits": png_with(PNG, b"tEXt", b"Raw profile type exif\0\nexif\n 10\nxyz"),
    "raw profile of half a digit": png_with(PNG, b"tEXt", b"Raw profile type exif\0\nexif\n 10\nabc"),
    "EXIF of garbage": png_with(PNG, b"eXIf", b"garbage"),
    "wrong sum of a text": _bad_sum(PNG, b"tEXt", b"Comment\0hello"),
    "wrong sum of EXIF": _bad_sum(PNG, b"eXIf", b"II*\0"),
    "times that are none": png_with(PNG, b"tIME", b"\xff" * 3),
    "resolution that is none": png_with(PNG, b"pHYs", b""),
    "transparency with a wrong sum": _bad_sum(PNG, b"tRNS", bytes(6)),
    "transparency of a wrong length": png_with(PNG, b"tRNS", bytes(3)),
    "end of a PNG missing": PNG[:-12],
    "bytes behind a PNG": PNG + b"more" * 100,
    "EXIF of garbage in WebP": encoded(SOLID, "WEBP", lossless=True, exif=b"Exif\0\0garbage!"),
    "XMP of garbage in WebP": encoded(SOLID, "WEBP", lossless=True, xmp=b"\xff\xfe\x00"),
    "profile of garbage in WebP": encoded(SOLID, "WEBP", lossless=True, icc_profile=b"garbage" * 50),
    "WebP that is cut in its XMP": encoded(SOLID, "WEBP", lossless=True, xmp=bytes(200))[:-50],
    "bytes behind a WebP": encoded(SOLID, "WEBP", lossless=True) + b"more" * 100,
    "EXIF of garbage in JPEG": _segment(0xE1, b"Exif\0\0garbage"),
    "profile of garbage in JPEG": _segment(0xE2, b"ICC_PROFILE\0\1\1garbage"),
    "profile with a part missing": _segment(0xE2, b"ICC_PROFILE\0\2\3garbage"),
    "second pictures that are none": _segment(0xE2, b"MPF\0garbage"),
    "JFIF segment cut short": JPEG.replace(b"\xff\xe0\x00\x10" + JPEG[6:20], b"\xff\xe0\x00\x08JFIF\x00\x01"),
    "fill bytes before a segment": JPEG[:2] + b"\xff" * 1000 + JPEG[2:],
    "comment of 64 KB": _segment(0xFE, bytes(65_000)),
    "Photoshop's resources cut": _segment(0xED, b"Photoshop 3.0\x008BIM\x04"),
    "bytes behind a JPEG": JPEG + b"more" * 100,
    "end of a JPEG missing": JPEG[:-2],
    "half of the end of a JPEG missing": JPEG[:-1],
    "end of a progressive JPEG missing": kinds.file(SOLID, "JPEG", progressive=True)[:-2],
    "end of a CMYK JPEG missing": kinds.file(SOLID.convert("CMYK"), "JPEG")[:-2],
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_damage_beside_the_pixels_passes_over(name: str) -> None:
    looks(BESIDE[name], SEEN, 5)


@pytest.mark.parametrize("missing", [5, 20, 300, 5000])
@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_a_jpeg_that_lacks_a_part_of_its_picture_is_refused(missing: int, progressive: bool) -> None:
    data = encoded(LARGE, "JPEG", quality=92, progressive=progressive)
    assert decode(data[:-2]).tobytes() == decode(data).tobytes()
    with pytest.raises(errors.CorruptImage):
        decode(data[:-missing])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_file_that_lacks_a_part_of_its_picture_is_refused(kind: str, part: float) -> None:
    data = kinds.file(LARGE, kind)
    with pytest.raises(errors.CorruptImage):
        decode(data[: int(part * len(data))])


def test_a_profile_that_is_a_bomb_is_not_unpacked() -> None:
    info = side_info.split(BESIDE["profile that is a bomb"], "png")
    assert info.profile == b""
    assert len(info.pixels) <= len(PNG)


def test_many_bombs_together_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """One budget for a file: each chunk for itself would make minutes of a few hundred kilobytes."""
    unpacked: list[int] = []
    new = zlib.decompressobj

    class Counting:
        def __init__(self) -> None:
            self._real = new()

        def decompress(self, data: bytes, most: int) -> bytes:
            text = self._real.decompress(data, most)
            unpacked.append(len(text))
            return text

        @property
        def eof(self) -> bool:
            return self._real.eof

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    bomb = zlib.compress(bytes(8 * 2**20 + 1))
    data = PNG
    for name, head in ((b"iCCP", b"x\0\0"), (b"zTXt", b"Raw profile type exif\0\0")) * 20:
        data = png_with(data, name, head + bomb)
    looks(data, SEEN, 0)
    assert sum(unpacked) <= 2 * 8 * 2**20, "once for the gateway's look and once for the picture"
