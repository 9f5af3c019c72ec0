"""What a person sees of a file: the same picture in every kind of file."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image

from looksee.core.images import ImageLimits, decode, examine, rendered
from tests.core.images import kinds
from tests.core.images.kinds import GREYS, SEEN, SIZE
from tests.support.files import chunk

LIMITS = ImageLimits(file_bytes=10 * 2**20, pixels=10**6, smallest_side=3)
RGB = tuple[int, int, int]


def looks(data: bytes, colours: dict[tuple[int, int], RGB], tolerance: int) -> None:
    picture = examine(data, LIMITS)
    image = decode(data)
    assert image.mode == "RGB"
    assert image.size == (picture.width, picture.height) == SIZE
    for at, colour in colours.items():
        found = image.getpixel(at)
        assert isinstance(found, tuple)
        assert max(abs(one - other) for one, other in zip(found, colour, strict=True)) <= tolerance, (at, found)


@pytest.mark.parametrize("kind", kinds.SOLID_KINDS)
def test_every_format_and_mode(kind: str) -> None:
    looks(kinds.SOLID_KINDS[kind](), SEEN, 5)


@pytest.mark.parametrize("kind", kinds.CUT_OUT_KINDS)
def test_what_is_transparent_is_white(kind: str) -> None:
    looks(kinds.CUT_OUT_KINDS[kind](), SEEN, 5)


@pytest.mark.parametrize("kind", kinds.GREY_KINDS)
def test_what_is_transparent_is_white_in_greys(kind: str) -> None:
    looks(kinds.GREY_KINDS[kind](), GREYS, 3)


@pytest.mark.parametrize("kind", kinds.PROFILE_KINDS)
def test_colours_are_those_of_the_profile(kind: str) -> None:
    looks(kinds.PROFILE_KINDS[kind](), SEEN, 14)


def test_half_of_a_colour_is_half_of_the_ground() -> None:
    data = kinds.file(Image.new("RGBA", SIZE, (0, 0, 200, 128)))
    assert decode(data).getpixel((9, 9)) == (127, 127, 227)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("hidden", ["lowest", "highest"])
def test_a_transparent_grey_of_few_bits(depth: int, hidden: str) -> None:
    """A file of `depth` bits a pixel, left half the lowest value, right half the highest: one of them is hidden."""
    highest = 2**depth - 1
    row = int("0" * (8 * depth) + "1" * (8 * depth), 2).to_bytes(2 * depth, "big")
    header = (16).to_bytes(4, "big") + (8).to_bytes(4, "big") + bytes([depth, 0, 0, 0, 0])
    value = highest if hidden == "highest" else 0
    body = chunk(b"IHDR", header) + chunk(b"tRNS", value.to_bytes(2, "big"))
    body += chunk(b"IDAT", zlib.compress((b"\0" + row) * 8)) + chunk(b"IEND", b"")
    image = decode(b"\x89PNG\r\n\x1a\n" + body)
    left = (255, 255, 255) if hidden == "lowest" else (0, 0, 0)
    assert (image.getpixel((2, 4)), image.getpixel((13, 4))) == (left, (255, 255, 255))


@pytest.mark.parametrize(
    ("mode", "dtype"), [("I;16", "<u2"), ("I;16B", ">u2"), ("I", "<i4"), ("F", "<f4")], ids=["I;16", "I;16B", "I", "F"]
)
def test_greys_of_many_bits_keep_their_brightness(mode: str, dtype: str) -> None:
    black = {at: grey if at[1] < 10 else (0, 0, 0) for at, grey in GREYS.items()}
    picture = kinds.greys(mode, dtype)
    assert picture.mode == mode
    looks(kinds.file(picture, "TIFF"), black, 1)
    image = rendered(picture)
    assert [image.getpixel(at) for at in black] == list(black.values())


@pytest.mark.parametrize(("values", "white"), [((0, 255), 255), ((0, 4095, 65535), 65535), ((0, 100_000), 100_000)])
def test_wide_integers_are_scaled_by_what_they_hold(values: tuple[int, ...], white: int) -> None:
    image = rendered(Image.fromarray(np.array([values], dtype=np.int32)))
    assert [image.getpixel((number, 0)) for number in range(len(values))] == [
        (round(255 * value / white),) * 3 for value in values
    ]


def test_floats_that_are_no_numbers_are_black() -> None:
    image = rendered(Image.fromarray(np.array([[np.nan, np.inf, 0.5, 1.0]], dtype=np.float32)))
    assert [image.getpixel((number, 0)) for number in (0, 2, 3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "YCbCr", "HSV", "RGBX"])
def test_a_program_may_have_any_mode(mode: str) -> None:
    source = kinds.SOLID.convert("L") if mode == "La" else kinds.SOLID
    between = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode, "RGB")
    picture = rendered(source.convert(between).convert(mode))
    assert picture.mode == "RGB"
    assert picture.getpixel((4, 35)) == (255, 255, 255)


@pytest.mark.parametrize("profile", [b"", b"no profile", kinds.wide_gamut()[:200], bytes(3000)])
def test_a_profile_that_cannot_be_read_is_none(profile: bytes) -> None:
    assert rendered(kinds.SOLID, profile).getpixel((4, 4)) == kinds.RED


def test_a_profile_of_other_channels_is_none() -> None:
    """Scanners write one of colours into greys."""
    grey = kinds.SOLID.convert("L")
    assert rendered(grey, kinds.wide_gamut()).getpixel((4, 4)) == rendered(grey).getpixel((4, 4))


def test_floats_may_overshoot() -> None:
    image = rendered(Image.fromarray(np.array([[0.0, 0.5, 1.0, 1.2]], dtype=np.float32)))
    assert [image.getpixel((number, 0)) for number in range(4)] == [(0,) * 3, (128,) * 3, (255,) * 3, (255,) * 3]


def test_a_bitmap_whose_alpha_nobody_wrote_is_opaque() -> None:
    """Of version 4, with a mask for alpha, as Windows' clipboard has it."""
    masks = b"".join(mask.to_bytes(4, "little") for mask in (0xFF0000, 0xFF00, 0xFF, 0xFF000000))
    head = (108).to_bytes(4, "little") + (8).to_bytes(4, "little") * 2 + b"\1\0\x20\0" + (3).to_bytes(4, "little")
    head += bytes(20) + masks + b" niW" + bytes(48)
    pixels = bytes([40, 40, 220, 0]) * 64
    start = 14 + len(head)
    data = b"BM" + (start + len(pixels)).to_bytes(4, "little") + bytes(4) + start.to_bytes(4, "little") + head + pixels
    assert decode(data).getpixel((3, 3)) == (220, 40, 40)


def test_a_transparent_colour_between_those_of_8_bits_hides_nothing() -> None:
    header = (8).to_bytes(4, "big") * 2 + bytes([16, 2, 0, 0, 0])
    rows = zlib.compress((b"\0" + bytes.fromhex("00ff") * 24) * 8)
    parts = chunk(b"IHDR", header) + chunk(b"tRNS", bytes.fromhex("00ee") * 3) + chunk(b"IDAT", rows)
    assert decode(b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")).getpixel((3, 3)) == (0, 0, 0)
