"""The record of `looksee caption`: what was answered, about which file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from looksee.cli.record import FileStamp, Record

ASKED = {"task": "caption"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "a.png"
    found.write_bytes(b"first")
    return found


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "captions.jsonl"


def answered(file: Path, target: Path, name: str = "a.png") -> None:
    with Record(target, ASKED) as record:
        record.write(name, {"caption": "a dog"}, FileStamp.of(file.read_bytes(), file.stat()))


def has(file: Path, target: Path, name: str = "a.png", asked: dict[str, Any] = ASKED) -> bool:
    with Record(target, asked) as record:
        return record.has(name, file, file.stat())


def test_a_line_holds_the_answer_and_which_file_it_is_about(file: Path, target: Path) -> None:
    answered(file, target)
    (line,) = map(json.loads, target.read_text().splitlines())
    assert list(line) == ["file", "asked", "caption", "picture"]
    assert line["picture"] == {
        "size": 5,
        "mtime_ns": file.stat().st_mtime_ns,
        "sha256": "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
    }
    assert has(file, target)
    assert not has(file, target, asked={"task": "caption", "model": "blip"})


@pytest.mark.parametrize("content", [b"other", b"longer than it was", b""])
def test_another_file_of_the_same_name_was_not_answered(content: bytes, file: Path, target: Path) -> None:
    answered(file, target)
    before = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert not has(file, target)
    answered(file, target)
    assert has(file, target), "the last line counts"
    file.write_bytes(b"first")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not has(file, target), "the last line counts"


def test_a_copy_with_another_time_is_the_same_file(file: Path, target: Path) -> None:
    answered(file, target)
    os.utime(file, (1, 1))
    assert has(file, target)


@pytest.mark.parametrize(
    "line",
    [
        {"file": "a.png", "asked": ASKED, "caption": "a dog"},
        {"file": "a.png", "asked": ASKED, "caption": "a dog", "picture": None},
        {"file": "a.png", "asked": ASKED, "caption": "a dog", "picture": {"more": 1}},
    ],
)
def test_lines_that_say_nothing_of_the_file_count(line: dict[str, Any], file: Path, target: Path) -> None:
    target.write_text(json.dumps(line) + "\n")
    assert has(file, target)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nothing",
        b"[1]",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"asked": {"task": "caption"}}',
        b'{"file": "a.p',
    ],
)
def test_lines_that_are_none_are_passed_over(line: bytes, file: Path, target: Path) -> None:
    target.write_bytes(line + b"\n")
    assert not has(file, target)
    answered(file, target)
    assert has(file, target)


def test_a_line_that_was_cut_does_not_spoil_the_next(file: Path, target: Path) -> None:
    target.write_bytes(b'{"file": "b.p')
    answered(file, target)
    assert has(file, target)


def test_a_name_that_is_no_utf_8_comes_back(file: Path, target: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    answered(file, target, name)
    assert json.loads(target.read_bytes().decode())["file"] == "caf\\xe9.png"
    assert has(file, target, name)
    assert not has(file, target, "caf\\xe9.png")
    assert not has(file, target, os.fsdecode(b"caf\xe8.png"))


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x85b", "a\u2028b", "a\x1db", 'a"b\\', "a\x00b"])
def test_an_answer_is_one_line_whatever_the_name(name: str, file: Path, target: Path) -> None:
    answered(file, target, name)
    (line,) = target.read_text().splitlines()
    assert json.loads(line)["file"] == name
    assert has(file, target, name)


def test_a_pipe_can_be_written_to(file: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    answered(file, Path(f"/dev/fd/{write}"))
    assert json.loads(os.read(read, 10_000))["file"] == "a.png"
    os.close(read)
    os.close(write)
