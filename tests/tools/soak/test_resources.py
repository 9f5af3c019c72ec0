"""What grows is seen, and what only comes and goes is not."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tools.soak.resources import FILES, ProcessWatch, Sample

MIB = 2**20


def watched(tmp_path: Path, *samples: Sample) -> ProcessWatch:
    watch = ProcessWatch(tmp_path)
    watch.began -= samples[-1].seconds
    watch.samples["gateway"] = list(samples)
    return watch


def at(seconds: float, *, pid: int = 1, memory: float = 100, fds: int = 20) -> Sample:
    return Sample(seconds, pid, int(memory * MIB), int(memory * MIB), fds, 5)


def grown(watch: ProcessWatch, quantile: float = 0.5) -> set[str]:
    found = watch.growth(10, quantile)
    assert found
    return {one.what for one in found if not one.flat}


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([at(n) for n in range(60)], set()),
        ([at(n, memory=100 + 2 * n) for n in range(60)], {"rss", "pss"}),
        ([at(n, fds=20 + 2 * n) for n in range(60)], {"fds"}),
        ([at(n, memory=100 + 200 * (n < 10)) for n in range(60)], set()),
        ([at(n, memory=100 + 20 * (n % 2)) for n in range(60)], set()),
    ],
    ids=["flat", "memory", "file descriptors", "only at first", "up and down"],
)
def test_what_grows_is_seen(samples: list[Sample], expected: set[str], tmp_path: Path) -> None:
    assert grown(watched(tmp_path, *samples)) == expected


def test_another_life_of_a_process_begins_again(tmp_path: Path) -> None:
    lives = [*(at(n, memory=50) for n in range(10)), *(at(n, pid=2, memory=200) for n in range(10, 60))]
    assert grown(watched(tmp_path, *lives)) == set()
    short = [*(at(n, memory=50) for n in range(50)), *(at(n, pid=2, memory=200) for n in range(50, 60))]
    assert watched(tmp_path, *short).growth(10) == []


def test_files_are_counted_and_this_process_can_be_looked_at(tmp_path: Path) -> None:
    watch = ProcessWatch(tmp_path)
    for _ in range(9):
        watch.look({"gateway": psutil.Process()})
    for number in range(40):
        (tmp_path / f"{number}").touch()
    for _ in range(9):
        watch.look({})
    assert watch.total() > MIB
    assert FILES in {one.what for one in watch.growth(0) if not one.flat}
