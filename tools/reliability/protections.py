"""Take each protection out of a copy of the tree, by itself, and run its test, which must fail.

python -m tools.reliability.protections [PART OF A NAME ...]        # or: make protections
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.protections import PROTECTIONS, Protection

ROOT = Path(__file__).parents[2]
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", "results", ".*_cache")
_SECONDS = 120.0  # for one test: a test that hangs without the protection has failed


def main() -> int:
    wanted = sys.argv[1:]
    chosen = [one for one in PROTECTIONS if not wanted or any(part in one.name for part in wanted)]
    with tempfile.TemporaryDirectory(prefix="looksee-protections-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
        if passed(copy, sorted({one.test for one in chosen}), seconds=_SECONDS * len(chosen)) is not True:
            print("some of the tests fail as it is")
            return 1
        useless = [one for one in chosen if not needed(copy, one)]
    for one in useless:
        print(f"without '{one.name}' nothing fails in {one.test}")
    print(f"{len(chosen) - len(useless)} of {len(chosen)} protections have a test that fails without them")
    return bool(useless)


def needed(copy: Path, one: Protection) -> bool:
    """Whether the test of a protection fails without it."""
    file = copy / one.file
    before = file.read_text()
    assert before.count(one.old) == 1, f"{one.file} has {before.count(one.old)} times: {one.old}"
    began = time.monotonic()
    file.write_text(before.replace(one.old, one.new))
    try:
        fails = not passed(copy, [one.test], seconds=_SECONDS)
    finally:
        file.write_text(before)
    print(f"{'fails as it must' if fails else 'PASSES'}, {time.monotonic() - began:4.1f} s: {one.name}", flush=True)
    return fails


def passed(copy: Path, tests: Sequence[str], *, seconds: float) -> bool:
    """Whether the tests pass in the copy. Raises RuntimeError where they could not be run at all."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", *tests]
    # Without compiled modules: one that is changed within a second has the time and the size of the old one.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)}
    process = subprocess.Popen(
        command, cwd=copy, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        told, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    if process.returncode not in (0, 1):
        raise RuntimeError(told)
    return process.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
