"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from looksee.cli.exports.whole_file import write_whole


def test_who_is_interrupted_has_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_whole(file, b"old")

    def parts() -> Iterator[bytes]:
        yield b"new"
        assert file.read_bytes() == b"old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(file, parts())
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    write_whole(file, [b"new", b"er"])
    assert file.read_bytes() == b"newer"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"content")
    reader.join(10)
    assert found == [b"content"]


def test_a_name_of_any_length_that_there_may_be(tmp_path: Path) -> None:
    file = tmp_path / ("x" * 255)
    write_whole(file, b"content")
    assert file.read_bytes() == b"content"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "a", b"")
