"""A process that a supervisor has started beats, and ends with it; any other does neither."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from looksee.core import heartbeat
from tests.support.loops import PATIENCE, run, until
from tests.support.serving import ROOT


@pytest.fixture
def supervised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's beat, with its parent as the supervisor."""
    monkeypatch.setenv(heartbeat.VARIABLE, f"{os.getppid()} {tmp_path}")
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    return tmp_path / str(os.getpid())


def test_it_beats_while_it_serves(supervised: Path) -> None:
    seen = set()

    def changes() -> bool:
        seen.add(supervised.read_text() if supervised.exists() else "")
        return len(seen) > 4

    async def main() -> None:
        async with heartbeat.beating():
            await until(changes)

    run(main())
    assert not supervised.exists()


def test_it_asks_for_the_longest_patience_that_anybody_needs(supervised: Path) -> None:
    def asked() -> float:
        heartbeat._beat()
        return float(supervised.read_text().split()[1])

    assert asked() == 0
    with heartbeat.patience(600):
        with heartbeat.patience(20):
            assert float(supervised.read_text().split()[1]) == 600, "without waiting for the next beat"
        assert asked() == 600
    assert asked() == 0


def test_without_a_supervisor_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(heartbeat.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with heartbeat.beating():
            with heartbeat.patience(600):
                await asyncio.sleep(0.05)

    run(main())
    heartbeat.end_with_supervisor()
    assert not list(tmp_path.iterdir())


def test_on_a_full_disk_it_beats_all_the_same(supervised: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    heartbeat._beat()
    before = supervised.stat().st_mtime_ns
    time.sleep(0.02)
    heartbeat._beat()
    assert supervised.stat().st_mtime_ns > before


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(heartbeat.VARIABLE, f"{os.getppid()} {tmp_path / 'nowhere'}")
    heartbeat._beat()


# A supervisor that starts a process, writes its id, and sleeps.
PARENT = """
import os, subprocess, sys, time
from looksee.core import heartbeat
env = {**os.environ, heartbeat.VARIABLE: f"{os.getpid()} {sys.argv[1]}"}
child = subprocess.Popen([sys.executable, "-c", sys.argv[2]], env=env, start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
BY_SYSTEM = """
import time
from looksee.core import heartbeat
heartbeat.end_with_supervisor()
open(heartbeat.supervisor()[1] / "ready", "w").close()
time.sleep(600)
"""
BY_BEAT = """
import asyncio
from looksee.core import heartbeat
async def main():
    async with heartbeat.beating():
        await asyncio.sleep(600)
asyncio.run(main())
"""
AFTERWARDS = """
import os, time
from looksee.core import heartbeat
pid, folder = heartbeat.supervisor()
open(folder / "ready", "w").close()
while os.getppid() == pid:
    time.sleep(0.01)
heartbeat.end_with_supervisor()
time.sleep(600)
"""


@pytest.mark.parametrize("child", [BY_SYSTEM, BY_BEAT, AFTERWARDS], ids=["by the system", "by the beat", "afterwards"])
def test_it_ends_with_its_supervisor(child: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), child]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        try:
            end = time.monotonic() + PATIENCE
            while not list(tmp_path.iterdir()):
                assert time.monotonic() < end
                time.sleep(0.01)
            assert process.is_running()
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            # Nobody may be there to collect it.
            with contextlib.suppress(psutil.NoSuchProcess):
                while process.status() != psutil.STATUS_ZOMBIE:
                    assert time.monotonic() < end
                    time.sleep(0.01)
        finally:
            parent.kill()
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
