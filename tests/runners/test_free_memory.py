"""What is free for batches, by the files of a machine and its control groups, and the share that a model gets."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from runners import free_memory

GIB = 2**30


class Files:
    """A machine's files, below a directory."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.proc, self.groups = root / "proc", root / "cgroup"
        patch.setattr(free_memory, "_PROC", self.proc)
        patch.setattr(free_memory, "_CGROUPS", self.groups)
        self.write("proc/meminfo", f"MemTotal: 1 kB\nMemAvailable:   {16 * 2**20} kB\n", root)
        self.write("proc/self/cgroup", "0::/\n", root)
        self.root = root

    def write(self, name: str, text: str, root: Path | None = None) -> None:
        file = (root or self.root) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def test_without_a_limit_it_is_what_the_machine_has_available(files: Files) -> None:
    files.write("cgroup/memory.max", "max\n")
    assert free_memory.free_bytes("cpu") == 16 * GIB


def test_mapped_weights_are_in_use_though_they_count_as_cached(files: Files) -> None:
    files.write("proc/self/status", f"RssAnon: 1 kB\nRssFile:   {4 * 2**20} kB\n")
    assert free_memory.free_bytes("cpu") == 12 * GIB


def test_the_limit_of_a_container_holds_and_its_cached_files_do_not_count(files: Files) -> None:
    files.write("cgroup/memory.max", f"{8 * GIB}\n")
    files.write("cgroup/memory.current", f"{5 * GIB}\n")
    files.write("cgroup/memory.stat", f"anon 7\nfile {3 * GIB}\nshmem {GIB}\n")
    assert free_memory.free_bytes("cpu") == 5 * GIB


def test_the_narrowest_group_on_the_way_to_the_root_counts(files: Files) -> None:
    files.write("proc/self/cgroup", "0::/system/looksee\n")
    for group, limit in (("system/looksee", "max"), ("system", f"{2 * GIB}"), (".", f"{9 * GIB}")):
        files.write(f"cgroup/{group}/memory.max", limit)
        files.write(f"cgroup/{group}/memory.current", f"{GIB}")
    assert free_memory.free_bytes("cpu") == GIB


def test_groups_of_the_first_version_count_too(files: Files) -> None:
    files.write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/docker/0123\n")  # a path of the host's
    files.write("cgroup/memory/memory.limit_in_bytes", f"{4 * GIB}")
    files.write("cgroup/memory/memory.usage_in_bytes", f"{3 * GIB}")
    files.write("cgroup/memory/memory.stat", f"total_cache {GIB}\n")
    assert free_memory.free_bytes("cpu") == 2 * GIB


def test_a_group_that_is_full_leaves_nothing(files: Files) -> None:
    files.write("cgroup/memory.max", f"{GIB}")
    files.write("cgroup/memory.current", f"{2 * GIB}")
    assert free_memory.free_bytes("cpu") == 0


def test_a_system_without_such_files_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "_PROC", tmp_path)
    monkeypatch.setattr(free_memory, "_CGROUPS", tmp_path)
    assert free_memory.free_bytes("cpu") is None
    assert free_memory.batch_memory("cpu", kept=0, models=1) == 512 * 2**20


def test_on_a_gpu_what_torch_has_reserved_and_not_used_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of torch is real here: no GPU has run it."""
    cuda = SimpleNamespace(
        mem_get_info=lambda device: (10 * GIB, 24 * GIB),
        memory_reserved=lambda device: 3 * GIB,
        memory_allocated=lambda device: 2 * GIB,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert free_memory.free_bytes("cuda:1") == 11 * GIB


@pytest.mark.parametrize(
    ("kept", "models", "share"),
    [(0, 1, 9.6), (GIB, 1, 9.0), (GIB, 2, 4.5), (0, 5, 1.92), (0, 100, 0.5), (20 * GIB, 1, 0.5)],
)
def test_a_model_gets_a_share_of_what_is_free(kept: int, models: int, share: float, files: Files) -> None:
    """And never less than half a GiB: it is tried."""
    assert free_memory.batch_memory("cpu", kept=kept, models=models) == int(share * GIB)
