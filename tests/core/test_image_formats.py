"""Formats are told by bytes, and each that is not accepted is refused in words that help."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from looksee.core import errors, image_formats
from looksee.core.image_formats import FORMATS, accepted, listed, sniff
from tests.core.images import kinds
from tests.support.files import plain

BY_NAME = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF", "avif": "AVIF"}


@pytest.mark.parametrize(("name", "kind"), [*BY_NAME.items(), ("heic", "HEIF")])
def test_bytes_decide(name: str, kind: str) -> None:
    data = kinds.file(kinds.SOLID, kind)
    assert sniff(data) == FORMATS[name]
    assert accepted(data, FORMATS).name == name


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(20), "avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" + bytes(20), "heic"),
        (b"\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc" + bytes(20), "heic"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(20), None),
        (b"MM\0+" + bytes(20), "tiff"),
        (b"BM" + bytes(12) + b"\x7c\0\0\0", "bmp"),
        (b"BM it is not", None),
        (b"RIFF\0\0\0\0WAVE", None),
    ],
)
def test_brands_and_headers(data: bytes, expected: str | None) -> None:
    assert (found.name if (found := sniff(data)) else None) == expected


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"%PDF-1.7\n", "a PDF: send its pages"),
        (b"\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing: export it"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<svg/>", "an SVG drawing"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'>\n<svg/>", "an SVG drawing"),
        (b"<!DOCTYPE HTML>\n<html>", "an HTML page"),
        (b"\0\0\0\x20ftypisom" + bytes(24), "a video: send its frames"),
        (b"\0\0\0\x14ftypqt  " + bytes(24), "a video"),
        (b"\x1aE\xdf\xa3" + bytes(24), "a video"),
        (b"RIFF\0\1\0\0AVI LIST", "a video"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"\xff\x0a" + bytes(24), "a JPEG XL picture"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\x1f\x8b\x08", "compressed with gzip: send it unpacked"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"hello", "not a picture. Accepted are JPEG, PNG"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, told: str) -> None:
    with pytest.raises(errors.UnsupportedImageType) as caught:
        accepted(data, FORMATS, param="image")
    assert told in caught.value.message
    assert (caught.value.status, caught.value.param) == (415, "image")


@pytest.mark.parametrize("make", [lambda: plain("GIF"), lambda: plain("BMP")])
def test_a_format_that_is_set_aside_is_named(make: Callable[[], bytes]) -> None:
    with pytest.raises(errors.UnsupportedImageType, match=r"LOOKSEE_IMAGE_FORMATS.* Accepted are JPEG and PNG\.$"):
        accepted(make(), ("png", "jpeg"))


def test_without_its_package_heic_is_refused_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = kinds.file(kinds.SOLID, "HEIF")
    monkeypatch.setattr(image_formats, "find_spec", lambda name: None)
    with pytest.raises(errors.UnsupportedImageType, match=r"looksee\[heif\]"):
        accepted(data, FORMATS)
    assert "HEIC" not in listed(FORMATS)
