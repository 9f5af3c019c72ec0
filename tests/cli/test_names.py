"""Names of files: harmless on a terminal, and the same again from a record."""

from __future__ import annotations

import json
import os

import pytest

from looksee.cli.names import listed, members, named, shown

STRANGE = [
    b"caf\xe9.png",  # Latin-1
    b"\xff\xfe",
    b"\x82\xa0.jpg",  # Shift JIS
    b"cut\xe2\x82.png",  # UTF-8 that was cut
    b"below\xe9/a\n.png",
    b"\xed\xa0\x80.png",  # half a surrogate pair, as some programs write it
]
PLAIN = ["a.png", "below/caf\u00e9.png", 'a "b" \\ c.png', "two\nlines.png", "\u4e2d\u6587/\U0001f600.png", "x" * 255]


@pytest.mark.parametrize("own", STRANGE)
def test_a_name_that_is_no_utf_8_comes_back_from_json(own: bytes) -> None:
    name = os.fsdecode(own)
    line = json.dumps(members(name), ensure_ascii=False).encode()  # it can be written as UTF-8
    assert named(json.loads(line)) == name
    assert os.fsencode(named(json.loads(line))) == own


@pytest.mark.parametrize("name", PLAIN)
def test_any_other_name_is_written_as_it_is(name: str) -> None:
    assert members(name) == {"file": name}
    assert named(members(name)) == name


def test_names_that_look_alike_are_told_apart() -> None:
    several = [os.fsdecode(b"caf\xe9"), os.fsdecode(b"caf\xe8"), "caf\\xe9", "caf\ufffd"]
    assert [named(members(name)) for name in several] == several


@pytest.mark.parametrize("found", [{}, {"file_bytes": 7}, {"file_bytes": "a"}, {"file": "a", "file_bytes": None}])
def test_what_names_nothing_is_refused(found: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        named(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (os.fsdecode(b"caf\xe9.png"), "caf\\xe9.png"),
        ("two\nlines\t.png", "two\\nlines\\t.png"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),  # would be shown from right to left
        ("\ud800", "\\ud800"),
        ("at 3.12\u202fPM \u4e2d.png", "at 3.12\u202fPM \u4e2d.png"),  # as macOS names its screenshots
    ],
)
def test_a_name_is_shown_in_one_harmless_line(name: str, text: str) -> None:
    assert shown(name) == text
    assert text.encode()


def test_a_few_names_are_listed() -> None:
    assert listed(["a", "b\n"]) == "a, b\\n"
    assert listed([str(number) for number in range(8)]) == "0, 1, 2, 3, 4 and 3 more"
