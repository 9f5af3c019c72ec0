"""What the processes of the service hold: memory, file descriptors, threads; and files in the temporary folder."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

MEMORY = ("rss", "pss")
COUNTS = ("fds", "threads")
FILES = "temporary files"
# What a figure may be more in the last third of a run than in the first. Memory: a part, and bytes that allocators
# keep; the rest: connections, and threads of pools, that come and go.
_PART, _BYTES = 0.05, 24 * 2**20
_MORE = {"fds": 24, "threads": 8, FILES: 8}


@dataclass(frozen=True)
class Sample:
    """One look at a process: bytes of memory, and numbers of file descriptors and of threads."""

    seconds: float
    pid: int
    rss: int
    pss: int
    fds: int
    threads: int


@dataclass(frozen=True)
class Growth:
    """A figure in the first and the last third of a run, and the most that the last may be."""

    role: str
    what: str
    first: float
    last: float
    most: float

    @property
    def flat(self) -> bool:
        return self.last <= self.most

    def shown(self) -> dict[str, Any]:
        return {**asdict(self), "flat": self.flat}


@dataclass
class ProcessWatch:
    """Samples of a run, by role."""

    temporary: Path
    began: float = field(default_factory=time.monotonic)
    samples: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    files: list[tuple[float, int]] = field(default_factory=list)

    def look(self, roles: Mapping[str, psutil.Process]) -> None:
        now = time.monotonic() - self.began
        for role, process in roles.items():
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                memory = process.memory_full_info()
                pss = getattr(memory, "pss", memory.uss)
                self.samples[role].append(
                    Sample(now, process.pid, memory.rss, pss, process.num_fds(), process.num_threads())
                )
        self.files.append((now, sum(1 for _ in self.temporary.rglob("*"))))

    def total(self) -> int:
        """Bytes of memory of all processes, by what each takes of shared pages, as they were seen last."""
        return sum(samples[-1].pss for samples in self.samples.values())

    def growth(self, warm: float, quantile: float = 0.5) -> list[Growth]:
        """What changed from the first to the last third of the time behind the first `warm` seconds.

        A process that was killed is measured in its last life, which has such seconds of its own, and not at all if
        that was too short. `quantile` of each third is compared: the median, or a higher one where models come and go.
        """
        end = time.monotonic() - self.began
        found = []
        for role, all_samples in self.samples.items():
            life = [one for one in all_samples if one.pid == all_samples[-1].pid]
            samples = [one for one in life if one.seconds >= life[0].seconds + warm]
            if len(samples) < 6 or samples[-1].seconds - samples[0].seconds < (end - warm) / 2:
                continue
            found += [
                _growth(role, what, [getattr(one, what) for one in samples], quantile) for what in (*MEMORY, *COUNTS)
            ]
        counts = [count for seconds, count in self.files if seconds >= warm]
        if len(counts) >= 6:
            found.append(_growth("all", FILES, counts, quantile))
        return found


def _growth(role: str, what: str, values: Sequence[float], quantile: float) -> Growth:
    third = len(values) // 3
    first, last = (_quantile(part, quantile) for part in (values[:third], values[-third:]))
    most = first * (1 + _PART) + _BYTES if what in MEMORY else first + _MORE[what]
    return Growth(role, what, first, last, most)


def _quantile(values: Sequence[float], quantile: float) -> float:
    if quantile == 0.5:
        return statistics.median(values)
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
