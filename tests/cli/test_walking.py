"""What `looksee caption` finds in a folder."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from looksee.cli.walking import FolderContents, contents
from tests.support.files import plain


def found(folder: Path) -> FolderContents:
    return contents(folder, besides=folder / "captions.jsonl")


def test_the_bytes_decide_and_not_the_name(tmp_path: Path) -> None:
    kinds = {"a.jpg": "JPEG", "b.jfif": "JPEG", "c.jpe": "JPEG", "d": "PNG", "e.txt": "PNG", "F.JPG": "JPEG"}
    kinds |= {"g.png": "WEBP", "h.bmp": "BMP", "i.gif": "GIF", "j.tif": "TIFF", "k.Jpeg.bak": "JPEG", "l.": "WEBP"}
    for name, kind in kinds.items():
        (tmp_path / name).write_bytes(plain(kind))
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(20))
    (tmp_path / "empty").touch()
    seen = found(tmp_path)
    assert list(seen.pictures) == sorted(kinds)
    assert seen.others == ["empty", "film.mp4", "notes.txt"]
    assert (seen.linked_folders, seen.troubles) == ([], {})


def test_raw_photographs_are_no_pictures_though_they_begin_like_one(tmp_path: Path) -> None:
    for name in ("a.CR2", "a.dng", "a.nef"):
        (tmp_path / name).write_bytes(plain("TIFF"))
    (tmp_path / "a.jpg").write_bytes(plain("JPEG"))
    seen = found(tmp_path)
    assert (list(seen.pictures), seen.others) == (["a.jpg"], ["a.CR2", "a.dng", "a.nef"])


@pytest.mark.parametrize("name", ["bad.jpg", "empty.png", "a.HEIC", "b.jfif"])
def test_what_is_called_a_picture_is_missed_when_it_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"text" if "empty" not in name else b"")
    assert list(found(tmp_path).pictures) == [name]


def test_hidden_files_and_the_record_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".thumbs").mkdir()
    for name in ("._a.png", ".hidden.png", ".thumbs/b.png", "a.png"):
        (tmp_path / name).write_bytes(plain("PNG"))
    (tmp_path / "captions.jsonl").write_text("{}\n")
    (tmp_path / "other.jsonl").write_text("{}\n")
    seen = found(tmp_path)
    assert (list(seen.pictures), seen.others) == (["a.png"], ["other.jsonl"])


def test_names_are_the_bytes_that_they_are(tmp_path: Path) -> None:
    own = [b"caf\xe9.png", b"two\nlines.png", b"'\"\\ .png", b"\x01\x7f.png", b"x" * 255, b"d\xff/\xfe.png"]
    (tmp_path / os.fsdecode(b"d\xff")).mkdir()
    for name in own:
        (tmp_path / os.fsdecode(name)).write_bytes(plain("PNG"))
    assert sorted(map(os.fsencode, found(tmp_path).pictures)) == sorted(own)


def test_links_are_followed_to_files_but_not_to_folders(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    (folder / "below").mkdir(parents=True)
    outside.mkdir()
    (outside / "a.png").write_bytes(plain("PNG"))
    (folder / "link.png").symlink_to(outside / "a.png")
    (folder / "below" / "around").symlink_to(folder)
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "outside").symlink_to(outside)
    (folder / "gone.png").symlink_to(outside / "gone.png")
    seen = found(folder)
    assert list(seen.pictures) == ["link.png"]
    assert sorted(seen.linked_folders) == ["below/around", "outside"]
    assert {name: error.errno for name, error in seen.troubles.items()} == {
        "itself": errno.ELOOP,
        "gone.png": errno.ENOENT,
    }
    (tmp_path / "to").symlink_to(folder)
    assert list(found(tmp_path / "to").pictures) == ["link.png"], "the folder that was named may be a link"


def test_pipes_sockets_and_devices_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        where = Path.cwd()
        os.chdir(tmp_path)  # a socket's address is short
        try:
            listening.bind("socket.png")
        finally:
            os.chdir(where)
        seen = found(tmp_path)
    assert (seen.pictures, seen.others) == ({}, ["device.jpg", "pipe", "pipe.png", "socket.png"])


def test_what_cannot_be_read_is_kept_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "locked/b.png", "secret"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(plain("PNG"))
    scandir, opened = os.scandir, Path.open

    def refusing(path: Path) -> Any:
        if path.name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    def unreadable(path: Path, *mode: Any, **options: Any) -> Any:
        if path.name == "secret":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *mode, **options)

    monkeypatch.setattr(os, "scandir", refusing)  # root, as whom tests may run, may read everything
    monkeypatch.setattr(Path, "open", unreadable)
    seen = found(tmp_path)
    assert list(seen.pictures) == ["a.png"]
    assert {name: error.strerror for name, error in seen.troubles.items()} == {
        "locked/": "Permission denied",
        "secret": "Permission denied",
    }


def test_folders_deeper_than_the_stack_are_looked_through(tmp_path: Path) -> None:
    folders = [tmp_path]
    for _ in range(1010):
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    picture = folders[-1] / "a.png"
    picture.write_bytes(plain("PNG"))
    seen = found(tmp_path)
    picture.unlink()  # here: what pytest cleans up with is recursive
    for folder in reversed(folders[1:]):
        folder.rmdir()
    assert len(seen.pictures) == 1


def test_a_path_that_is_too_long_for_the_system_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(plain("PNG"))
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # together longer than a path may be
        os.mkdir("d" * 250, dir_fd=at)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    seen = found(tmp_path)
    assert list(seen.pictures) == ["a.png"]
    assert [error.errno for error in seen.troubles.values()] == [errno.ENAMETOOLONG]
