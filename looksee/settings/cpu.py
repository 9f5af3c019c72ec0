"""How many processors this process may use."""

from __future__ import annotations

import os


def half_of_the_cores() -> int:
    """Half of the cores that this process may use, at least one."""
    return max(1, len(os.sched_getaffinity(0)) // 2)
