"""A disk that is full or read-only: weights cannot be fetched, answers cannot be written down, and both say so.

Where no file system may be mounted (a container without the right) the tests are skipped, but for /dev/full.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from looksee.cli.main import main
from looksee.models.weights.source import SAMPLES
from tests.cli.test_commands import BLIP, COMMIT, Program
from tests.cli.test_folder import InProcessService
from tests.cli.test_folder import service as service  # a fixture
from tests.faults.recording import Recorder
from tests.support.files import plain
from tests.support.hub import Repository, serving

Mount = Callable[[str], Path]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system in memory, with options as of mount(8)."""
    with contextlib.ExitStack() as stack:

        def mount(options: str) -> Path:
            place = tmp_path / "disk"
            place.mkdir(exist_ok=True)
            words = ["mount", "-t", "tmpfs", "-o", options, "looksee-test", str(place)]
            if subprocess.run(words, capture_output=True, check=False).returncode:
                pytest.skip("no file system may be mounted here")
            stack.callback(subprocess.run, ["umount", "-l", str(place)], check=False)
            return place

        yield mount


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True, capture_output=True)


def pulled(disk: Path, work: Path) -> subprocess.CompletedProcess[str]:
    """`looksee pull blip` with its cache on `disk`."""
    files = Repository.of(SAMPLES / "blip", BLIP.revision or COMMIT)
    with serving({BLIP.hub_id: files}) as hub:
        return Program(hub.url, work)("pull", "blip", HF_HOME=str(disk))


def test_weights_that_the_disk_has_no_room_for_are_not_begun(mounted: Mount, tmp_path: Path, record: Recorder) -> None:
    disk = mounted("size=1m")
    done = pulled(disk, tmp_path / "work")
    assert done.returncode == 1
    assert "The disk has no room for" in done.stderr
    assert "HF_HOME" in done.stderr
    assert not list(disk.rglob("*.incomplete")), "it did not begin"
    remount(disk, "size=64m")
    assert pulled(disk, tmp_path / "again").returncode == 0
    record("disk full, for weights", "an error that names the space and `HF_HOME`", wrong=[])


def test_a_disk_that_fills_up_under_a_download_says_so_and_it_is_resumed(
    mounted: Mount, tmp_path: Path, record: Recorder
) -> None:
    """Room enough by what the hub says, and then less: the files beside the large one take it."""
    disk = mounted("size=64m,nr_inodes=12")
    done = pulled(disk, tmp_path / "work")
    assert done.returncode == 1
    assert "The disk has no room for" in done.stderr
    remount(disk, "nr_inodes=1000")
    assert pulled(disk, tmp_path / "again").returncode == 0


def test_weights_that_cannot_be_written_down_name_the_folder(mounted: Mount, tmp_path: Path, record: Recorder) -> None:
    disk = mounted("size=64m")
    remount(disk, "ro,size=64m")
    done = pulled(disk, tmp_path / "work")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "HF_HOME" in done.stderr
    remount(disk, "rw,size=64m")
    assert pulled(disk, tmp_path / "again").returncode == 0
    record("disk read-only, for weights", "an error that names `HF_HOME`", wrong=[])


def caption(folder: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["caption", str(folder), *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr


def test_a_record_without_room_says_so_and_goes_on_where_it_was(
    mounted: Mount, service: InProcessService, tmp_path: Path, record: Recorder
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(40):
        (pictures / f"{number}.png").write_bytes(plain(colour=(number, 0, 0)))
    disk = mounted("size=4k")
    target = disk / "captions.jsonl"
    code, words = caption(pictures, "-o", str(target))
    assert code == 1
    assert "No space left on device" in words
    *whole, _ = target.read_bytes().split(b"\n")
    assert 0 < len([json.loads(line) for line in whole]) < 40
    remount(disk, "size=1m")
    assert caption(pictures, "-o", str(target))[0] == 0
    lines = []
    for line in target.read_text().splitlines():
        with contextlib.suppress(ValueError):  # the one that was cut
            lines.append(json.loads(line))
    assert sorted(line["file"] for line in lines) == sorted(f"{number}.png" for number in range(40))
    record("disk full, for the record of `looksee caption`", "an error that names the file; goes on later", wrong=[])


def test_a_record_that_may_not_be_written_says_so(
    mounted: Mount, service: InProcessService, tmp_path: Path, record: Recorder
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(plain())
    disk = mounted("size=1m")
    remount(disk, "ro,size=1m")
    code, words = caption(pictures, "-o", str(disk / "captions.jsonl"))
    assert code == 1
    assert "Read-only file system" in words
    assert service.asked == [], "nothing was asked in vain"
    record("disk read-only, for the record of `looksee caption`", "an error that names it; nothing asked", wrong=[])
