"""The cores that a process may use, by its affinity and by its control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from looksee.settings import cpu


@pytest.fixture(autouse=True)
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine of 64 cores: the folder stands for `/sys/fs/cgroup`, a file `own` beside it for the groups."""
    (tmp_path / "cgroup").mkdir()
    monkeypatch.setattr(cpu, "_CONTROL_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cpu, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    return tmp_path / "cgroup"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_without_control_groups_all_cores_count() -> None:
    assert cpu.usable_cores() == 64


def test_without_affinities_all_cores_of_the_machine_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert cpu.usable_cores() == 10
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpu.usable_cores() == 1


@pytest.mark.parametrize(
    ("text", "cores"), [("200000 100000\n", 2), ("150000 100000\n", 2), ("10000 100000\n", 1), ("max 100000\n", 64)]
)
def test_the_quota_of_a_container(groups: Path, text: str, cores: int) -> None:
    write(groups.parent / "own", "0::/\n")
    write(groups / "cpu.max", text)
    assert cpu.usable_cores() == cores


def test_a_quota_beyond_the_affinity_adds_nothing(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    write(groups.parent / "own", "0::/\n")
    write(groups / "cpu.max", "800000 100000\n")
    assert cpu.usable_cores() == 2


def test_the_smallest_quota_around_a_process_counts(groups: Path) -> None:
    write(groups.parent / "own", "0::/system.slice/looksee.service\n")
    write(groups / "system.slice" / "looksee.service" / "cpu.max", "max 100000\n")
    write(groups / "system.slice" / "cpu.max", "400000 100000\n")
    assert cpu.usable_cores() == 4
    write(groups / "system.slice" / "looksee.service" / "cpu.max", "300000 100000\n")
    assert cpu.usable_cores() == 3


def test_a_path_of_the_host_that_is_not_seen_here(groups: Path) -> None:
    write(groups.parent / "own", "0::/docker/0123456789ab\n")
    write(groups / "cpu.max", "200000 100000\n")
    assert cpu.usable_cores() == 2


@pytest.mark.parametrize(("quota", "cores"), [("350000", 4), ("-1", 64)])
def test_the_quota_of_version_1(groups: Path, quota: str, cores: int) -> None:
    write(groups.parent / "own", "5:memory:/a\n4:cpu,cpuacct:/a\n3:cpuset:/a\n0::/\n")
    write(groups / "cpu" / "a" / "cpu.cfs_quota_us", f"{quota}\n")
    write(groups / "cpu" / "a" / "cpu.cfs_period_us", "100000\n")
    assert cpu.usable_cores() == cores
