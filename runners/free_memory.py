"""The memory that is free for batches: on a device, or in this machine and the control group of this process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_SHARE = 0.6  # the rest is for what verbs need while they run: activations, workspaces, fragments
_LEAST = 512 * 2**20  # where less is free it is tried all the same: what is free at the load says little then


def batch_memory(device: str, *, kept: int, models: int) -> int:
    """The bytes that a model's running batch may hold on `device` by default, known once its weights are loaded.

    A share of what is free without the `kept` bytes that the model fills later on, divided among `models` that may be
    loaded at a time.
    """
    free = free_bytes(device)
    return max(_LEAST, int((free - kept) * _SHARE) // models) if free is not None else _LEAST


def free_bytes(device: str) -> int | None:
    """The bytes that may still be allocated on `device` (`cpu`, `cuda:1`, `mps`); None where nothing says it."""
    torch: Any = sys.modules.get("torch")  # a process that runs a model has imported it
    kind, _, _ = device.partition(":")
    if torch is not None and kind == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + int(torch.cuda.memory_reserved(device)) - int(torch.cuda.memory_allocated(device))
    if torch is not None and kind == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    found = [number for number in (_available(), *_left_in_groups()) if number is not None]
    return max(0, min(found) - _mapped()) if found else None


def _available() -> int | None:
    """What the machine has available, as Linux estimates it."""
    return _fields(_PROC / "meminfo", "MemAvailable:", unit=1024)


def _mapped() -> int:
    """The bytes of this process that are files: they count as cached, though weights among them are always in use."""
    return _fields(_PROC / "self/status", "RssFile:", unit=1024) or 0


def _left_in_groups() -> Iterator[int | None]:
    """What each control group that this process is in may still take. Files that are only cached do not count."""
    for line in _text(_PROC / "self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2: limits of all groups up to the root hold
            names, root = ("memory.max", "memory.current", "file"), _CGROUPS
        elif "memory" in controllers.split(","):
            names, root = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"), _CGROUPS / "memory"
        else:
            continue
        # In a container the path may be the host's: then only the root of what is mounted is there.
        for group in {root, *(root / part for part in [Path(path.lstrip("/")), *Path(path.lstrip("/")).parents])}:
            limit, used = _number(group / names[0]), _number(group / names[1])
            if limit is not None and used is not None:
                shared = _fields(group / "memory.stat", "shmem") or 0
                cached = _fields(group / "memory.stat", names[2]) or 0
                yield limit - used + max(0, cached - shared)


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _fields(file: Path, name: str, *, unit: int = 1) -> int | None:
    """The number behind `name` in a file of such lines."""
    for line in _text(file).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name:
            return int(words[1]) * unit
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
