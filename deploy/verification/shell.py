"""Commands of the container tools, and what is done when one fails."""

from __future__ import annotations

import subprocess
from pathlib import Path


class CommandFailed(RuntimeError):
    """A command ended with an error; says which, and the end of what it wrote."""


class Shell:
    """Runs commands in `folder`; what they write goes to `log` too.

    Podman's monitor leaves files where it was started, so that is no folder to keep.
    """

    def __init__(self, log: Path, folder: Path) -> None:
        self._log, self._folder = log, folder

    def run(self, *command: str, timeout: float = 120, env: dict[str, str] | None = None) -> str:
        """Standard output. Raises CommandFailed."""
        code, out, err = self._call(command, timeout, env)
        if code:
            raise CommandFailed(f"`{' '.join(command)[:300]}` ended with {code}: {(err or out).strip()[-1500:]}")
        return out

    def read(self, *command: str, timeout: float = 60) -> str:
        """Both outputs together, whatever the exit code."""
        _, out, err = self._call(command, timeout, None)
        return out + err

    def ok(self, *command: str, timeout: float = 60) -> bool:
        return self._call(command, timeout, None)[0] == 0

    def _call(self, command: tuple[str, ...], timeout: float, env: dict[str, str] | None) -> tuple[int, str, str]:
        try:
            done = subprocess.run(
                command, cwd=self._folder, capture_output=True, text=True, timeout=timeout, env=env, errors="replace"
            )
            found = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired:
            found = 124, "", f"no end within {timeout:.0f} s"
        except FileNotFoundError as error:
            found = 127, "", str(error)
        with self._log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n{found[1]}{found[2]}-> {found[0]}\n")
        return found
