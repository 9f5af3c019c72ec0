"""Pictures in text: base64 as the web writes it."""

from __future__ import annotations

import base64
import random
import tracemalloc
from urllib.parse import quote

import pytest
from PIL import Image

from looksee.core import errors
from looksee.core.images import ImageLimits, examine, from_base64
from tests.support.files import encoded, plain

LIMITS = ImageLimits(file_bytes=10 * 2**20, pixels=64_000_000, smallest_side=3)
PNG = next(file for width in range(20, 60) if len(file := plain("PNG", (width, 10))) % 3 == 1)  # needs two `=`
TEXT = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"data:image/png;base64,{TEXT}",
        f"DATA:Image/PNG;BASE64,{TEXT}",
        f"data:image/jpeg;base64,{TEXT}",
        f"data:application/octet-stream;base64,{TEXT}",
        f"data:image/png;charset=utf-8;name=a.png;base64,{TEXT}",
        "\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)) + "\n",
        f" \t{TEXT[:10]} \r\n {TEXT[10:]} ",
        f"data:image/png;base64, {TEXT}",
        TEXT.rstrip("="),
        TEXT[:-1],
        TEXT + "=",
        TEXT.translate(str.maketrans("+/", "-_")),
        TEXT.translate(str.maketrans("+/", "-_")).rstrip("="),
        f" data:image/png;base64,{TEXT}",
        f"\n\tdata:image/png;base64,{TEXT}\n",
        f"data:image/png; base64,{TEXT}",
        f"data: image/png ; base64 ,{TEXT}",
        f"data:;base64,{TEXT}",
        f"data:image/png;name=a.png;base64,{TEXT.rstrip('=')}",
        f"data:image/png;base64,{quote(TEXT, safe='')}",
        quote(TEXT, safe=""),
        f"data:image/png,{quote(PNG)}",
        f"data:,{quote(PNG)}",
        f"data:image/png,{TEXT}",
        f"data:image/svg+xml;utf8;base64,{TEXT}",
    ],
    ids=[
        "bare", "URI", "capitals", "wrong type", "octets", "parameters", "lines", "blanks", "URI and blank",
        "no padding", "half of the padding", "too much padding", "URL-safe", "URL-safe without padding",
        "blank before a URI", "lines around a URI", "blank after ;", "blanks in a URI", "no media type",
        "URI without padding", "percent-encoded URI", "percent-encoded", "bytes as they are", "bytes without a type",
        "base64 not said", "odd parameters",
    ],
)  # fmt: skip
def test_base64_is_read(text: str) -> None:
    assert TEXT.endswith("==")
    assert from_base64(text, LIMITS) == examine(PNG, LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        "not base64!",
        TEXT[:-3],
        TEXT[:-4] + "*" + TEXT[-3:],
        f"data:image/png;base64;{TEXT}",
        f"https://example.com/{TEXT}.png",
        "bild.png",
        "\u00e9" * 8,
    ],
)
def test_bad_base64_is_the_callers_mistake(text: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        from_base64(text, LIMITS, param="picture")
    assert caught.value.param == "picture"
    assert "'picture'" in caught.value.message


@pytest.mark.parametrize("text", ["", "data:image/png;base64,", "  \n", "===="])
def test_no_base64_at_all_is_an_empty_file(text: str) -> None:
    with pytest.raises(errors.EmptyFile):
        from_base64(text, LIMITS)


def test_base64_of_no_picture_is_refused_by_its_bytes() -> None:
    with pytest.raises(errors.UnsupportedImageType) as caught:
        from_base64("data:image/png;base64," + base64.b64encode(b"some text").decode(), LIMITS)
    assert caught.value.param == "image"


def test_base64_that_is_too_long_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ImageLimits(10_000, 1_000_000, 3)

    def decoded(*_: object, **__: object) -> bytes:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(base64, "b64decode", decoded)
        with pytest.raises(errors.FileTooLarge):
            from_base64("A" * 40_000, limits)
    with pytest.raises(errors.FileTooLarge):
        from_base64(base64.b64encode(b"\xff" * 10_001).decode(), limits)


def test_the_largest_file_fits_as_base64_in_lines() -> None:
    data = encoded(Image.frombytes("RGB", (64, 64), random.Random(1).randbytes(64 * 64 * 3)))
    text = base64.encodebytes(data).decode()
    assert from_base64(text, ImageLimits(len(data), 1_000_000, 3)).data == data


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not base64!", "character 10 is '!'"),
        (TEXT[:40] + "\u2026" + TEXT[41:], "character 41 is"),
        ("A" * 41, "41 characters are no whole number of bytes"),
        ("C:\\pictures\\bild.png", "looks like a path"),
        ("~/bild.png", "looks like a path"),
        ("../bild", "looks like a path"),
        ("/etc/passwd0", "looks like a path"),  # all of whose letters are base64
        ("photos/cats1", "looks like a path"),
        ("file:///tmp/bild.png", "looks like a path"),
        ("bild.jpeg", "looks like a path"),
        ("http//example.com/a b.png", "character"),
        (f"data:image/png;base64{TEXT}", "no comma"),
    ],
)
def test_it_is_said_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        from_base64(text, LIMITS)
    assert told in caught.value.message
    assert "'image'" in caught.value.message
    assert len(caught.value.message) < 300, "nobody wants to read the picture again"


@pytest.mark.parametrize("text", ["A " * 8000, "%" * 40_000, "data:," + "%41" * 14_000, " " * 50_000])
def test_a_text_that_is_far_too_long_is_not_even_cleaned(text: str) -> None:
    with pytest.raises(errors.FileTooLarge):
        from_base64(text, ImageLimits(3000, 10**6, 3))


def test_percent_signs_cost_next_to_nothing() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(errors.InvalidRequest):
            from_base64("data:," + "%" * 2**21, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


def test_the_base64_of_a_jpeg_is_no_path() -> None:
    text = base64.b64encode(plain("JPEG")).decode()
    assert text.startswith("/9j/")
    with pytest.raises(errors.InvalidRequest) as caught:
        from_base64(text[:400] + "*" + text[400:], LIMITS)
    assert "path" not in caught.value.message
