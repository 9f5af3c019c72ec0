"""`client.picture`: whatever a program has becomes what the service takes."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from looksee import picture
from looksee.core.images import ImageLimits, decode, from_base64
from looksee.settings import Settings
from tests.support.files import encoded, plain

LIMITS = ImageLimits(Settings.model_construct().max_file_bytes, 10**6, 1)


def data_of(text: str) -> bytes:
    return from_base64(text, LIMITS).data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_files_stay_as_they_are(kind: str, tmp_path: Path) -> None:
    content = plain(kind)
    file = tmp_path / "a file"  # its name says nothing
    file.write_bytes(content)
    expected = f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
    sources: list[Any] = [file, str(file), content, bytearray(content), memoryview(content), io.BytesIO(content)]
    assert [picture(source) for source in sources] == [expected] * len(sources)
    with file.open("rb") as opened:
        assert picture(opened) == expected


def test_heic_stays_as_it_is() -> None:
    assert picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(20)).startswith("data:image/heic;base64,")


@pytest.mark.parametrize(
    "text", ["data:image/png;base64,AAAA", "https://example.com/a.png", "HTTP://example.com/a", f"sha256:{'0a' * 32}"]
)
def test_addresses_stay_as_they_are(text: str) -> None:
    assert picture(text) == text
    assert picture(f"\n {text}\n") == text


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_base64_is_taken_as_what_it_is(kind: str) -> None:
    content = encoded(Image.effect_noise((30, 30), 90), kind)
    text = base64.b64encode(content).decode()
    expected = f"data:image/{kind.lower()};base64,{text}"
    lines = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    url_safe = base64.urlsafe_b64encode(content).decode()
    forms: list[Any] = [text, text.rstrip("="), url_safe, lines, f" {text}\n", text.encode(), lines.encode()]
    forms += [io.BytesIO(text.encode()), expected, expected.encode(), f"{expected}\n".encode()]
    for form in forms:
        assert picture(form) == expected


def test_a_path_that_exists_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = base64.b64encode(encoded(Image.new("L", (1, 1)), "GIF")).decode().replace("/", "_")
    monkeypatch.chdir(tmp_path)
    assert picture(name).startswith("data:image/gif;")
    Path(name).write_bytes(plain("JPEG"))
    assert picture(name).startswith("data:image/jpeg;")


@pytest.mark.parametrize(
    "text", ["A" * 400, "A" * 100_000, base64.b64encode(b"text" * 99).decode(), "a\0b", "/" + "x" * 300, "\ud800"]
)
def test_a_text_that_is_neither_is_told_in_a_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.+' is neither the path of a file nor a picture in base64\.$") as told:
        picture(text)
    assert len(str(told.value)) < 330
    assert str(told.value).encode().isascii()


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "YCbCr", "F", "HSV", "LAB", "PA", "La", "RGBa", "RGBX", "I"],
)
def test_an_image_of_any_mode_is_a_file_that_the_service_reads(mode: str) -> None:
    image = Image.new("RGB", (20, 10), (200, 30, 40)).convert("L" if mode in ("I;16", "F") else "RGB")
    image = image.convert(mode)
    text = picture(image)
    assert text.startswith("data:image/png;base64,")
    assert decode(data_of(text)).size == (20, 10)


WHITE, GREY = 65535, 24000


def deep_images() -> list[Image.Image]:
    """A dark and a light half in more than 8 bits, as programs make them."""
    values = np.full((20, 40), GREY, np.uint16)
    values[:, 20:] = WHITE
    tiff = io.BytesIO()
    Image.fromarray(values).save(tiff, "TIFF")
    big_endian = Image.frombytes("I;16B", (40, 20), values.astype(">u2").tobytes())
    return [
        Image.fromarray(values),
        Image.fromarray(values.astype(np.int32)),
        Image.fromarray(values.astype(np.float32)),
        Image.fromarray(values.astype(np.float32) / WHITE),
        Image.open(tiff),
        big_endian,
    ]


@pytest.mark.parametrize("image", deep_images(), ids=lambda image: f"{image.mode}-{image.format}")
def test_greys_of_more_than_8_bits_do_not_turn_white(image: Image.Image) -> None:
    shown = decode(data_of(picture(image)))
    assert shown.mode == "RGB"
    assert shown.getpixel((5, 5)) == pytest.approx((GREY * 255 // WHITE,) * 3, abs=1)
    assert shown.getpixel((35, 5)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_what_is_transparent_is_seen_on_white(mode: str) -> None:
    image = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 20, 20))
    shown = decode(data_of(picture(image.convert("LA").convert(mode) if "L" in mode.upper() else image.convert(mode))))
    assert (shown.getpixel((5, 5)), shown.getpixel((35, 5))) == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_a_colour_profile_is_applied_once(kind: str) -> None:
    wide = ImageCms.createProfile("sRGB")
    profile = swapped(ImageCms.ImageCmsProfile(wide).tobytes())
    file = io.BytesIO(encoded(Image.new("RGB", (20, 20), (220, 40, 40)), kind, icc_profile=profile))
    expected = decode(file.getvalue()).getpixel((10, 10))
    assert expected != pytest.approx((220, 40, 40), abs=60)
    assert decode(data_of(picture(Image.open(file)))).getpixel((10, 10)) == pytest.approx(expected, abs=4)


def test_an_image_takes_nothing_along_but_what_is_seen() -> None:
    data = encoded(
        Image.new("RGB", (20, 10), (200, 30, 40)), "JPEG", comment=b"of a private day", xmp=b"<x>private</x>"
    )
    opened = Image.open(io.BytesIO(data))
    assert b"private" in data
    assert b"private" not in data_of(picture(opened))
    assert opened.info["comment"] == b"of a private day", "the caller's own image stays as it is"


def swapped(profile: bytes) -> bytes:
    """A profile whose red is another's green."""
    return profile.replace(b"rXYZ", b"qXYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"qXYZ", b"gXYZ", 1)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"", b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01"]
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_image_with_damaged_exif_data_is_taken(exif: bytes) -> None:
    opened = Image.open(io.BytesIO(encoded(Image.new("RGB", (40, 20), (200, 30, 40)), "JPEG", exif=exif)))
    assert decode(data_of(picture(opened))).size == (40, 20)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_an_image_of_any_file_stands_upright(kind: str) -> None:
    image = Image.new("RGB", (40, 20), (200, 30, 40))
    image.paste((0, 0, 255), (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    shown = decode(data_of(picture(Image.open(io.BytesIO(encoded(image, kind, exif=exif, lossless=True))))))
    assert (shown.size, shown.getpixel((10, 3))) == ((20, 40), (0, 0, 255))


def test_pixels_are_kept() -> None:
    image = Image.effect_noise((40, 30), 90).convert("RGB")
    assert decode(data_of(picture(image))).tobytes() == image.tobytes()


def test_a_photograph_stays_a_jpeg_and_stands_upright() -> None:
    image = Image.new("RGB", (40, 20), (200, 30, 40))
    image.paste((0, 0, 255), (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # its left is its top
    opened = Image.open(io.BytesIO(encoded(image, "JPEG", quality=95, exif=exif)))
    text = picture(opened)
    assert text.startswith("data:image/jpeg;base64,")
    shown = Image.open(io.BytesIO(data_of(text)))
    assert (shown.size, shown.getexif().get(0x0112, 1)) == ((20, 40), 1)
    assert shown.getpixel((10, 3)) == pytest.approx((0, 0, 255), abs=8)


@pytest.mark.parametrize("content", [b"text", b"GIF89", b"aGVsbG8gd29ybGQ=", b"%PDF-1.7", b"\xff\xd8"])
def test_what_is_no_picture_is_told(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^This is not a picture \(JPEG, PNG, .* or HEIC\)\.$"):
        picture(content)
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png' is not a picture \(JPEG, PNG, .* or HEIC\)\.$"):
        picture(file)


def test_nothing_at_all_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    for source, said in (
        (b"", "This is empty."),
        (io.BytesIO(), "This is empty."),
        (tmp_path / "a.png", "a.png' is empty."),
        ("", "not an empty text"),
        (" \n", "not an empty text"),
    ):
        with pytest.raises(ValueError, match=said):
            picture(source)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        picture(tmp_path / "none.png")
    with pytest.raises(FileNotFoundError):
        picture("none.png")
    with pytest.raises(NotADirectoryError):
        picture(f"{__file__}/a.png")
    with pytest.raises(IsADirectoryError):
        picture(str(tmp_path))
    with pytest.raises(TypeError, match="not a int"):
        picture(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="binary mode, 'rb'"):
        picture(io.StringIO("text"))  # type: ignore[arg-type]


def test_it_is_quick_to_import() -> None:
    code = "import sys; import looksee; assert not {'PIL', 'torch', 'aiohttp', 'bentoml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent.parent)
