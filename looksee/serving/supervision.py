"""The supervising process (BentoML's arbiter, of circus) and what it does about processes that hang.

A process that died is started again by the arbiter itself. One that is stopped, or whose event loop hangs, has to be
killed for that: it is known by its beats (`looksee.core.heartbeat`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bentoml._internal.utils import circus

from looksee.core import heartbeat

logger = logging.getLogger("looksee.serving")

_START_SECONDS = 300.0  # that a new process may take until its first beat: it imports, on a slow disk
_LONGEST_CHECK = 5.0  # seconds that one check counts at most: the supervisor itself may have been stopped
_NAMES = "service"  # what the watchers of our processes are called, or begin with


@dataclass(slots=True)
class _Process:
    """What is known of a process: the watcher that started it, its last beat, and for how many seconds it is silent."""

    watcher: str
    beat: tuple[bytes, int] = (b"", 0)
    silent: float = 0.0


class Supervision:
    """Looks at the beats of a service's processes. `folder` has one file for each, named by its process id."""

    def __init__(self, silence_seconds: float) -> None:
        """After `silence_seconds` without a beat a process is killed; 0 for never."""
        self.folder = Path(tempfile.mkdtemp(prefix="looksee-beats-"))
        self._limit = silence_seconds
        self._known: dict[int, _Process] = {}
        self._checked = time.monotonic()

    def adopt(self, watchers: Iterable[Any]) -> None:
        """Tell the processes that these watchers will start who supervises them."""
        for watcher in watchers:
            watcher.env = {**(watcher.env or {}), heartbeat.VARIABLE: f"{os.getpid()} {self.folder}"}

    def check(self, processes: dict[int, str]) -> list[int]:
        """Kill the processes that are silent; returns their ids. `processes`: all ids, and their watchers' names."""
        now = time.monotonic()
        passed, self._checked = min(now - self._checked, _LONGEST_CHECK), now
        for pid in self._known.keys() - processes.keys():
            logger.warning("process %d of %s has ended", pid, self._known.pop(pid).watcher)
            (self.folder / str(pid)).unlink(missing_ok=True)
        killed = []
        for pid, name in processes.items():
            known = self._known.setdefault(pid, _Process(name))
            beat = self._read(pid)
            known.silent = known.silent + passed if beat == known.beat else 0.0
            known.beat = beat
            if self._limit and known.silent > self._patience(beat[0]):
                logger.error("process %d of %s has not reacted for %.0f s and is killed", pid, name, known.silent)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        return killed

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _patience(self, beat: bytes) -> float:
        """The seconds for which a process with this last beat may be silent."""
        asked = beat.partition(b" ")[2]
        try:
            return max(self._limit, float(asked) if beat else _START_SECONDS)
        except ValueError:  # while it is written
            return self._limit

    def _read(self, pid: int) -> tuple[bytes, int]:
        """What the file has, and its time in nanoseconds: another one after each beat."""
        file = self.folder / str(pid)
        try:
            return file.read_bytes(), file.stat().st_mtime_ns
        except OSError:
            return b"", 0


def supervise(silence_seconds: float) -> None:
    """Patch BentoML's arbiter to kill processes that are silent; and end this process with its own arbiter, if it has.

    Takes effect in the supervising process, which makes its arbiter after it has imported the service.
    """
    heartbeat.end_with_supervisor()
    circus.Arbiter = _supervising(circus.Arbiter, silence_seconds)  # type: ignore[misc]
    circus.ThreadedArbiter = _supervising(circus.ThreadedArbiter, silence_seconds)  # type: ignore[misc]


def _supervising(base: type[Any], silence_seconds: float) -> type[Any]:
    class SupervisingArbiter(base):
        def __init__(self, watchers: list[Any], *args: Any, **kwargs: Any) -> None:
            super().__init__(watchers, *args, **kwargs)
            self._supervision = Supervision(silence_seconds)
            self._supervision.adopt(watchers)
            self.exit_stack.callback(self._supervision.close)

        def manage_watchers(self) -> Any:
            if not self._stopping:
                ours = [one for one in self.iter_watchers() if one.name.partition("_")[0] == _NAMES]
                try:
                    self._supervision.check({pid: one.name for one in ours for pid in one.processes})
                except Exception:  # what it is there for, starting dead processes again, must go on
                    logger.exception("the processes could not be checked")
            return super().manage_watchers()

    return SupervisingArbiter
