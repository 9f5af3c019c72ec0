"""Files as they come in: told by their bytes, judged by their headers, decoded to upright RGB."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFile, PngImagePlugin, WebPImagePlugin

from looksee.core import errors
from looksee.core.images import ImageLimits, Picture, decode, examine, mib
from tests.core.images.kinds import TURNED_BY
from tests.support.files import encoded, plain, wide_png, wide_webp

LIMITS = ImageLimits(file_bytes=10 * 2**20, pixels=64_000_000, smallest_side=3)
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
RGB = tuple[int, int, int]

CORNERS: dict[tuple[int, int], RGB] = {
    (2, 2): (255, 0, 0),
    (37, 2): (0, 200, 0),
    (2, 21): (0, 0, 255),
    (37, 21): (0, 0, 0),
}


def quartered() -> Image.Image:
    """40 x 24: red, green, blue, black quarters."""
    picture = Image.new("RGB", (40, 24))
    for (x, y), colour in CORNERS.items():
        picture.paste(colour, (20 * (x > 20), 12 * (y > 12), 20 * (x > 20) + 20, 12 * (y > 12) + 12))
    return picture


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = quartered()
    if orientation in TURNED_BY:
        picture = picture.transpose(TURNED_BY[orientation])
    sharp: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    return encoded(picture, kind, exif=exif.tobytes(), **sharp.get(kind, {}))


def pixel(picture: Image.Image, at: tuple[int, int]) -> RGB:
    found = picture.getpixel(at)
    assert isinstance(found, tuple)
    return found[0], found[1], found[2]


def near(one: RGB, other: RGB, tolerance: int = 12) -> bool:
    return all(abs(left - right) <= tolerance for left, right in zip(one, other, strict=True))


# --- examine ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_a_picture_is_described(kind: str) -> None:
    data = plain(kind, (20, 10))
    assert examine(data, LIMITS) == Picture(data, hashlib.sha256(data).hexdigest(), TYPES[kind], 20, 10)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "JPEG2000", "PCX"])
def test_other_pictures_are_not_accepted(kind: str) -> None:
    with pytest.raises(errors.UnsupportedImageType) as caught:
        examine(plain(kind), LIMITS, param="images")
    assert caught.value.status == 415
    assert caught.value.param == "images"


@pytest.mark.parametrize(
    "data",
    [
        b"just some text",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>',
        b"<svg/>",
        b"%PDF-1.7",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"\x00" * 100,
        b"\xff",
        b"\xff\xd8",
        b"\x89PNG",
        b" " + plain("PNG"),
    ],
)
def test_files_that_are_no_pictures_are_not_accepted(data: bytes) -> None:
    with pytest.raises(errors.UnsupportedImageType):
        examine(data, LIMITS)


def test_an_empty_file_is_called_empty() -> None:
    with pytest.raises(errors.EmptyFile):
        examine(b"", LIMITS)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("length", [12, 16, 20])
def test_a_truncated_header_is_damage(kind: str, length: int) -> None:
    with pytest.raises(errors.CorruptImage) as caught:
        examine(plain(kind)[:length], LIMITS, param="images")
    assert caught.value.param == "images"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe0 and then text",
        b"\x89PNG\r\n\x1a\n and then text",
        b"RIFF\x00\x00\x00\x00WEBP and then text",
        plain("PNG")[:8] + plain("JPEG"),
        b"GIF89a and then text",
        b"BM of a bitmap\x28\0\0\0 and text",
        b"II*\0 and then text",
        b"\0\0\0\x18ftypavif and then text",
        b"\0\0\0\x18ftypheic and then text",
    ],
)
def test_a_good_signature_before_nonsense_is_damage(data: bytes) -> None:
    with pytest.raises(errors.CorruptImage):
        examine(data, LIMITS)


@pytest.mark.parametrize(("size", "good"), [((1, 1), False), ((2, 100), False), ((100, 2), False), ((3, 3), True)])
def test_the_smallest_side(size: tuple[int, int], good: bool) -> None:
    if good:
        assert examine(plain("PNG", size), LIMITS).width == 3
    else:
        with pytest.raises(errors.ImageTooSmall):
            examine(plain("PNG", size), LIMITS)


def test_the_limits_are_inclusive() -> None:
    data = plain("PNG", (20, 10))
    assert examine(data, ImageLimits(len(data), 200, 10)).width == 20
    with pytest.raises(errors.FileTooLarge):
        examine(data, ImageLimits(len(data) - 1, 200, 10))
    with pytest.raises(errors.ImageTooLarge):
        examine(data, ImageLimits(len(data), 199, 10))
    with pytest.raises(errors.ImageTooSmall):
        examine(data, ImageLimits(len(data), 200, 11))


def test_a_file_that_is_too_long_is_not_even_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Image, "open", opened)
    with pytest.raises(errors.FileTooLarge):
        examine(b"\xff" * 101, ImageLimits(100, 1, 1))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0.0 MiB"), (52_429, "0.1 MiB"), (3 * 2**19, "1.5 MiB"), (10 * 2**20, "10.0 MiB"), (2**30, "1024.0 MiB")],
)
def test_bytes_as_people_read_them(count: int, text: str) -> None:
    assert mib(count) == text


def test_a_file_that_is_a_little_too_long_is_told_something_that_makes_sense() -> None:
    with pytest.raises(errors.FileTooLarge) as caught:
        examine(bytes(LIMITS.file_bytes + 1), LIMITS)
    assert caught.value.message.count(mib(LIMITS.file_bytes)) == 1


class _Peak:
    """The process's peak of resident memory since this was made, in MiB; None where the system does not tell."""

    def __init__(self) -> None:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts over
            self._before = self._read("VmRSS")
        except OSError:
            self._before = None

    @staticmethod
    def _read(name: str) -> float | None:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        return None

    def grown(self) -> float | None:
        peak = None if self._before is None else self._read("VmHWM")
        return None if self._before is None or peak is None else peak - self._before


@pytest.mark.parametrize(
    "data", [wide_png(10_000, 10_000), wide_webp(16_383, 16_383)], ids=["100-MP PNG", "268-MP WebP"]
)
def test_too_many_pixels_are_seen_in_the_header(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    for kind in (ImageFile.ImageFile, PngImagePlugin.PngImageFile, WebPImagePlugin.WebPImageFile):
        monkeypatch.setattr(kind, "load", lambda self: loaded.append(type(self).__name__))
    assert len(data) < 100_000
    peak = _Peak()
    with pytest.raises(errors.ImageTooLarge, match="at most 64000000"):
        examine(data, LIMITS)
    assert (peak.grown() or 0) < 30
    assert loaded == []


@pytest.mark.parametrize("kind", TYPES)
def test_a_good_picture_is_examined_without_decoding(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    for owner in (ImageFile.ImageFile, PngImagePlugin.PngImageFile, WebPImagePlugin.WebPImageFile):
        monkeypatch.setattr(owner, "load", lambda self: loaded.append(type(self).__name__))
    assert examine(turned(kind, 6), LIMITS).width == 40
    assert examine(plain(kind), LIMITS).width == 20
    assert loaded == []


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_seen_and_applied(kind: str, orientation: int) -> None:
    data = turned(kind, orientation)
    with Image.open(io.BytesIO(data)) as stored:
        assert stored.size == ((24, 40) if orientation >= 5 else (40, 24))
    picture = examine(data, LIMITS)
    assert (picture.width, picture.height) == (40, 24)
    upright = decode(data)
    assert upright.size == (40, 24)
    for at, colour in CORNERS.items():
        assert near(pixel(upright, at), colour), at


def multi_picture() -> bytes:
    """What many phones write: a JPEG with a second picture behind it."""
    return encoded(Image.new("RGB", (20, 10), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (20, 10))])


def test_a_phones_jpeg_with_a_second_picture_is_a_jpeg() -> None:
    data = multi_picture()
    assert data.startswith(b"\xff\xd8\xff")
    picture = examine(data, LIMITS)
    assert (picture.media_type, picture.width, picture.height) == ("image/jpeg", 20, 10)


def test_a_phones_jpeg_with_a_second_picture_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = quartered().transpose(TURNED_BY[6])
    data = encoded(picture, "MPO", save_all=True, append_images=[picture], exif=exif.tobytes(), quality=95)
    assert decode(data).size == (40, 24)
    assert (examine(data, LIMITS).width, examine(data, LIMITS).height) == (40, 24)


def test_a_phones_jpeg_decodes_to_its_first_picture() -> None:
    assert near(pixel(decode(multi_picture()), (5, 5)), (254, 0, 0))


# --- decode ----------------------------------------------------------------------------------------------------------


def palette(transparent: bool = False) -> bytes:
    picture = Image.new("P", (20, 10), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    return encoded(picture, "PNG", **({"transparency": 0} if transparent else {}))


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)


def sixteen_bit(value: int) -> bytes:
    return encoded(Image.new("I;16", (20, 10), value), "PNG")


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (palette(), (10, 200, 30)),
        (palette(transparent=True), (10, 200, 30)),
        (encoded(Image.new("1", (20, 10), 1)), (255, 255, 255)),
        (encoded(Image.new("L", (20, 10), 99)), (99, 99, 99)),
        (encoded(Image.new("LA", (20, 10), (77, 200))), (115, 115, 115)),
        (encoded(Image.new("RGBA", (20, 10), (9, 80, 7, 128))), (132, 167, 131)),
        (encoded(Image.new("RGBA", (20, 10), (9, 80, 7, 200)), "WEBP", lossless=True), (62, 118, 60)),
        (encoded(Image.new("CMYK", (20, 10), (0, 255, 255, 0)), "JPEG"), (255, 0, 0)),
        (encoded(Image.new("L", (20, 10), 99), "JPEG"), (99, 99, 99)),
        (encoded(Image.new("RGB", (20, 10), (9, 80, 7)), "JPEG", progressive=True, quality=95), (9, 80, 7)),
        (sixteen_bit(0), (0, 0, 0)),
        (sixteen_bit(65535), (255, 255, 255)),
        (animated("WEBP"), (250, 0, 0)),
        (animated("PNG"), (250, 0, 0)),
    ],
    ids=[
        "palette", "palette with transparency", "1-bit", "grey", "LA", "RGBA", "RGBA WebP", "CMYK JPEG", "grey JPEG",
        "progressive JPEG", "16-bit black", "16-bit white", "animated WebP", "animated PNG",
    ],
)  # fmt: skip
def test_every_kind_of_pixels_becomes_rgb(data: bytes, colour: RGB) -> None:
    assert (examine(data, LIMITS).width, examine(data, LIMITS).height) == (20, 10)
    picture = decode(data)
    assert (picture.mode, picture.size) == ("RGB", (20, 10))
    assert near(pixel(picture, (10, 5)), colour, 6)


@pytest.mark.parametrize("value", [300, 8000, 32768, 60000])
def test_sixteen_bit_greys_keep_their_brightness(value: int) -> None:
    grey = round(value / 257)
    assert near(pixel(decode(sixteen_bit(value)), (10, 5)), (grey, grey, grey), 1)


def noisy(kind: str) -> bytes:
    return encoded(Image.frombytes("RGB", (64, 64), random.Random(1).randbytes(64 * 64 * 3)), kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_truncated_body_passes_the_gateway_and_is_damage_to_the_runner(kind: str, part: float) -> None:
    whole = noisy(kind)
    assert decode(whole).size == (64, 64)
    data = whole[: int(len(whole) * part)]
    assert examine(data, LIMITS).width == 64
    with pytest.raises(errors.CorruptImage):
        decode(data)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_webp_is_damage(part: float) -> None:
    whole = noisy("WEBP")
    with pytest.raises(errors.CorruptImage):
        decode(whole[: int(len(whole) * part)])


def test_garbage_is_damage_to_the_runner() -> None:
    for data in (b"", b"text", plain("ICO")):
        with pytest.raises(errors.CorruptImage):
            decode(data)


def with_broken_exif() -> bytes:
    """A PNG whose EXIF data stands in a text, where only decoding finds it, and ends too early."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type exif", "\nexif\n  10\n" + b"Exif\0\0II*\0".hex())
    return encoded(Image.new("RGB", (20, 10)), "PNG", pnginfo=texts)


def test_broken_exif_data_are_none() -> None:
    assert examine(with_broken_exif(), LIMITS).width == 20
    assert decode(with_broken_exif()).size == (20, 10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: turned("JPEG", 6),
        lambda: noisy("JPEG"),
        lambda: turned("PNG", 6),
        palette,
        lambda: turned("WEBP", 6),
        lambda: animated("WEBP"),
        lambda: animated("PNG"),
        multi_picture,
    ],
    ids=["JPEG", "noisy JPEG", "PNG", "palette PNG", "WebP", "animated WebP", "animated PNG", "MPO"],
)
@pytest.mark.filterwarnings("ignore")  # Pillow warns of damage that it can live with
def test_a_damaged_file_raises_our_errors_only(make: Callable[[], bytes]) -> None:
    rng = random.Random(7)
    whole = make()
    outcomes = {"good": 0, "refused": 0}
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(min(len(data), rng.choice((40, 300, len(data)))))
            if rng.random() < 0.8:
                data[at] = rng.choice((0, 255, rng.randrange(256), data[at] ^ 1 << rng.randrange(8)))
            else:
                del data[at : at + rng.randint(1, 9)]
        try:
            examine(bytes(data), ImageLimits(10_000_000, 1_000_000, 3))
        except errors.LookseeError:
            outcomes["refused"] += 1
            continue
        try:
            picture = decode(bytes(data))
        except errors.CorruptImage:
            outcomes["refused"] += 1
        else:
            assert picture.mode == "RGB"
            outcomes["good"] += 1
    assert outcomes["refused"] > 5, outcomes
    assert outcomes["good"] > 0, outcomes


@pytest.mark.parametrize("param", [None, "images.2"])
def test_a_damaged_picture_is_named_as_the_caller_wants(param: str | None) -> None:
    with pytest.raises(errors.CorruptImage) as caught:
        decode(plain("JPEG")[:200], param=param)
    assert caught.value.param == param
