"""A client program: a file whose first lines say what it needs, and the environment of its own that it runs in.

A program gets the service's address in LOOKSEE_URL and the scenes in COMPAT_SCENES. By `compat_scenes.py` or
`compat_scenes.mjs` it prints what it was answered beside what is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "programs"
_HEADER = re.compile(r"^(?:#|//) (?P<name>[a-z ]+): (?P<value>.+)$")
_INSTALL_SECONDS, _RUN_SECONDS = 900.0, 300.0
_LONGEST = 200  # characters of an error in the table


@dataclass(frozen=True)
class CompatProgram:
    """One file of `programs/`. Packages of `alone` are installed without their dependencies (PyPI), or in place of the
    version that others ask for (npm).
    """

    file: Path
    title: str
    asks: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()

    @classmethod
    def read(cls, file: Path) -> CompatProgram:
        """Raises KeyError where a line of the head is missing."""
        found: dict[str, str] = {}
        for line in file.read_text().splitlines():
            match = _HEADER.match(line)
            if match is None:
                break
            found[match["name"]] = match["value"]
        packages, alone = (
            found["packages"].split(),
            (found.get("without dependencies") or found.get("in place", "")).split(),
        )
        return cls(file, found["program"], found["asks"], tuple(packages), tuple(alone))

    @property
    def registry(self) -> str:
        return "npm" if self.file.suffix == ".mjs" else "PyPI"

    @property
    def name(self) -> str:
        return f"{self.file.parent.name}/{self.file.stem}"

    def installed(self, cache: Path) -> Path:
        """The folder of its environment, made where it is not there yet. Raises CalledProcessError, TimeoutExpired."""
        key = hashlib.sha256(repr((self.packages, self.alone, sys.version)).encode()).hexdigest()[:12]
        folder = cache / f"{self.registry.lower()}-{key}"  # of all programs with the same packages
        ready = folder / "ready"
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            if self.registry == "npm":
                others = dict(package.rsplit("@", 1) for package in self.alone)
                folder.joinpath("package.json").write_text(json.dumps({"overrides": others}))
            for command in self._commands(folder):
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
            ready.touch()
        return folder

    def _commands(self, folder: Path) -> list[list[str]]:
        if self.registry == "npm":
            return [["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *self.packages]]
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        found = [[sys.executable, "-m", "venv", str(folder)], [*pip, *self.packages]]
        return [*found, [*pip, "--no-deps", *self.alone]] if self.alone else found

    def run(self, folder: Path, url: str, scenes: Path) -> ProgramResult:
        """Ask the service. Every answer is compared with what is right."""
        if self.registry == "npm":  # packages are looked for beside the file
            for file in (self.file, _FOLDER / "compat_scenes.mjs"):
                shutil.copy(file, folder)
            command = ["node", str(folder / self.file.name)]
        else:  # -P: a program may have the name of its package
            command = [str(folder / "bin" / "python"), "-P", str(self.file)]
        own = {"LOOKSEE_URL": url, "COMPAT_SCENES": str(scenes), "PYTHONPATH": str(_FOLDER), "HOME": str(folder)}
        env = {**os.environ, **own}
        try:
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return self.failed(f"did not end within {_RUN_SECONDS:.0f} s")
        told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"asked"')]
        if done.returncode or not told:
            return self.failed((done.stderr.strip().splitlines() or ["printed nothing"])[-1])
        wrong = [f"{one['asked']}: {one['answer'] or one['error']}" for one in told if not is_right(one)]
        return ProgramResult(self.name, len(told), len(told) - len(wrong), shortened("; ".join(dict.fromkeys(wrong))))

    def failed(self, why: str) -> ProgramResult:
        return ProgramResult(self.name, 0, 0, shortened(why))


@dataclass(frozen=True)
class ProgramResult:
    """How many of its answers were right, and what was wrong; none was asked where it could not run."""

    name: str
    asked: int
    right: int
    wrong: str = ""

    def record(self) -> dict[str, object]:
        """With the day."""
        return {**asdict(self), "date": time.strftime("%Y-%m-%d")}


def is_right(told: dict[str, str | None]) -> bool:
    """Whether an answer is the right one; a full stop and capitals are a matter of taste."""
    answer = told["answer"]
    return answer is not None and answer.strip().rstrip(".").lower() == str(told["right"]).lower()


def shortened(text: str) -> str:
    """In one line, for a table."""
    line = " ".join(text.split()).replace("|", "/")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def all_programs() -> list[CompatProgram]:
    return [CompatProgram.read(file) for file in sorted([*_FOLDER.glob("*/*.py"), *_FOLDER.glob("*/*.mjs")])]
