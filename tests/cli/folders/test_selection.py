"""Which pictures of a folder are meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.in_process import FakeService, lines, looksee
from tests.support.files import plain

RED = plain("PNG")
NAMES = ("a.png", "b.jpg", "below/c.png", "below/deep/d.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "below" / "deep").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / name).write_bytes(RED)
    (tmp_path / "notes").write_text("text")
    return tmp_path


def answered(photos: Path) -> list[str]:
    return sorted(line["file"] for line in lines(photos / "captions.jsonl"))


@pytest.mark.parametrize(
    ("words", "expected", "said"),
    [
        ([], [*NAMES], "1 file is no picture: notes"),
        (["--no-recursive"], ["a.png", "b.jpg"], "2 pictures in"),
        (["--glob", "*.jpg"], ["b.jpg", "below/deep/d.jpg"], "2 pictures do not match --glob: a.png, below/c.png"),
        (["--glob", "below/*"], ["below/c.png", "below/deep/d.jpg"], "2 pictures in"),
        (["--glob", "a.*", "--glob", "[cd].png"], ["a.png", "below/c.png"], "2 pictures in"),
        (["--glob", "*.jpg", "--no-recursive"], ["b.jpg"], "1 picture in"),
    ],
)
def test_patterns(words: list[str], expected: list[str], said: str, fake: FakeService, photos: Path) -> None:
    done = looksee("caption", photos, *words)
    assert done.exit_code == 0, done.stderr
    assert answered(photos) == expected
    assert said in done.stderr


def test_nothing_that_matches_is_told(fake: FakeService, photos: Path) -> None:
    done = looksee("caption", photos, "--glob", "*.gif")
    assert done.exit_code == 1
    assert "4 pictures do not match --glob" in done.stderr


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_a_list(end: bytes, fake: FakeService, photos: Path) -> None:
    odd = b"caf\xe9.png"
    (photos / os.fsdecode(odd)).write_bytes(RED)
    own = [b"./a.png", os.fsencode(photos / "below/c.png"), b"below/../b.jpg", odd, b"gone.png", b"notes", b"below"]
    file = photos / "list"
    file.write_bytes(end.join([*own, b"a.png"]) + end)
    for source, given in ((file, None), ("-", file.read_bytes())):
        done = looksee("caption", photos, "--filelist", source, given=given)
        assert done.exit_code == 1
        assert answered(photos) == ["a.png", "b.jpg", "below/c.png", "caf\\xe9.png"]
        assert "gone.png: No such file or directory\n" in done.stderr
        assert "below: Is a directory\n" in done.stderr
        assert "1 file is no picture: notes\n" in done.stderr
    assert len(fake.items) == 4


def test_a_list_does_not_lead_out(fake: FakeService, photos: Path) -> None:
    for way in ("../x.png", "/etc/x.png"):
        done = looksee("caption", photos, "--filelist", "-", given=way.encode())
        assert done.exit_code == 2
        assert "in the list is not in the folder" in done.stderr
