"""What a benchmark ran on, in words, and where its results go."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from looksee.settings.cpu import usable_cores

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench/results"  # of every run; git ignores them
MEASURED = ROOT / "bench/measured"  # those that the documents show
_CODE = ("bench/*.py", "cache", "deploy", "looksee", "runners", "samples", "service.py")
_CPU_FLAGS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")  # the first one that is there tells the rest


def described(threads: int) -> str:
    """The machine, and `threads` of torch in each process."""
    cores = usable_cores()
    kind = next((flag for flag in _CPU_FLAGS if flag in _flags()), platform.machine())
    return f"{platform.machine()} ({kind}), {cores} cores, no GPU, {threads} torch thread(s) in each process"


def commit() -> str:
    """The commit that was measured, with `-dirty` behind it where the code differs from it; empty without git."""
    name = _git("describe", "--always")
    return f"{name}-dirty" if name and _git("status", "--porcelain", "--", *_CODE) else name


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
