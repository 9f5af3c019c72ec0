"""How many CPU cores this process may keep busy: those it is scheduled on, as far as its control groups' quotas go."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """At least 1. A quota of 1.5 cores counts as 2: the second one is there half of the time."""
    # macOS has neither affinities nor control groups.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _quotas())]))


def half_of_the_cores() -> int:
    """Half of the usable cores, at least 1."""
    return max(1, usable_cores() // 2)


def _quotas() -> Iterator[float]:
    """The quotas, in cores, of the control groups that this process is in: its own, and of those around it."""
    try:
        memberships = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers == "":  # version 2
            root, read = _CONTROL_GROUPS, _quota_v2
        elif "cpu" in controllers.split(","):
            root, read = _CONTROL_GROUPS / "cpu", _quota_v1
        else:
            continue
        group = root / path.lstrip("/")
        # A container may be told the host's path of its group and see the group itself as the root.
        for folder in (group, *group.parents):
            try:
                quota = read(folder)
            except (OSError, ValueError):  # no such group here; a kernel before quotas; "max"
                quota = 0
            if quota > 0:
                yield quota
            if folder == root:
                break


def _quota_v2(group: Path) -> float:
    allowed, period = (group / "cpu.max").read_text().split()
    return int(allowed) / int(period)


def _quota_v1(group: Path) -> float:
    """-1 of a period where there is no quota."""
    return int((group / "cpu.cfs_quota_us").read_text()) / int((group / "cpu.cfs_period_us").read_text())
