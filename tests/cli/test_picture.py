"""`client.picture`: whatever a program has becomes what the service takes."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from looksee import picture
from looksee.core.images import ImageLimits, decode, from_base64
from looksee.settings import Settings
from tests.support.files import encoded, plain

LIMITS = ImageLimits(Settings.model_construct().max_file_bytes, 10**6, 1)


def data_of(text: str) -> bytes:
    return from_base64(text, LIMITS).data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_files_stay_as_they_are(kind: str, tmp_path: Path) -> None:
    content = plain(kind)
    file = tmp_path / "a file"  # its name says nothing
    file.write_bytes(content)
    expected = f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
    sources: list[Any] = [file, str(file), content, bytearray(content), memoryview(content), io.BytesIO(content)]
    assert [picture(source) for source in sources] == [expected] * len(sources)
    with file.open("rb") as opened:
        assert picture(opened) == expected


@pytest.mark.parametrize("text", ["data:image/png;base64,AAAA", "https://example.com/a.png", "HTTP://example.com/a"])
def test_addresses_stay_as_they_are(text: str) -> None:
    assert picture(text) == text


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "YCbCr", "F", "HSV"])
def test_an_image_of_any_mode_is_a_file_that_the_service_reads(mode: str) -> None:
    image = Image.new("RGB", (20, 10), (200, 30, 40)).convert("L" if mode in ("I;16", "F") else "RGB")
    image = image.convert(mode)
    text = picture(image)
    assert text.startswith("data:image/png;base64,")
    assert decode(data_of(text)).size == (20, 10)


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


@pytest.mark.parametrize("content", [b"", b"text", b"GIF89a"])
def test_what_is_no_picture_is_told(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^This is not a JPEG, PNG or WebP file\.$"):
        picture(content)
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png' is not a JPEG, PNG or WebP file\.$"):
        picture(file)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        picture(tmp_path / "none.png")
    with pytest.raises(TypeError, match="not a int"):
        picture(7)  # type: ignore[arg-type]


def test_it_is_quick_to_import() -> None:
    code = "import sys; import looksee; assert not {'PIL', 'torch', 'aiohttp', 'bentoml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent.parent)
