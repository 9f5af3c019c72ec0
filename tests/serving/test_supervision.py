"""The supervisor kills what is silent, and nothing else."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from looksee.core import heartbeat
from looksee.serving import supervision
from looksee.serving.supervision import Supervision


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the supervisor's clock."""
    now = [1000.0]
    monkeypatch.setattr(supervision, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as started:
        yield started
        started.kill()


@pytest.fixture
def watched(clock: list[float]) -> Iterator[Supervision]:
    """With a limit of ten seconds."""
    made = Supervision(10)
    yield made
    made.close()
    assert not made.folder.exists()


def checks(watched: Supervision, clock: list[float], pid: int, seconds: float, beat: str | None = None) -> list[int]:
    """What is killed within `seconds`, of checks every two seconds; `beat` is written before each of them."""
    killed: list[int] = []
    for _ in range(round(seconds / 2)):
        if beat is not None:
            (watched.folder / str(pid)).write_text(beat.format(number=clock[0]))
        clock[0] += 2
        killed += watched.check({pid: "service_Blip"})
        if killed:
            break
    return killed


def test_what_beats_lives(watched: Supervision, clock: list[float], process: subprocess.Popen[bytes]) -> None:
    assert checks(watched, clock, process.pid, 100, "{number} 0.0") == []
    assert process.poll() is None


def test_what_cannot_write_and_touches_its_file_lives(
    watched: Supervision, clock: list[float], process: subprocess.Popen[bytes]
) -> None:
    for second in range(400):
        file = watched.folder / str(process.pid)
        file.touch()
        os.utime(file, ns=(second, second))
        clock[0] += 2
        assert watched.check({process.pid: "service_Blip"}) == []


def test_what_is_silent_is_killed(
    watched: Supervision,
    clock: list[float],
    process: subprocess.Popen[bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    checks(watched, clock, process.pid, 4, "{number} 0.0")
    assert checks(watched, clock, process.pid, 8) == []
    assert checks(watched, clock, process.pid, 6) == [process.pid]
    assert process.wait() == -9
    assert f"process {process.pid} of service_Blip has not reacted for" in caplog.text
    watched.check({})
    assert f"process {process.pid} of service_Blip has ended" in caplog.text
    assert not list(watched.folder.iterdir())


def test_what_asks_for_patience_gets_it(
    watched: Supervision, clock: list[float], process: subprocess.Popen[bytes]
) -> None:
    checks(watched, clock, process.pid, 2, "{number} 60.0")
    assert checks(watched, clock, process.pid, 58) == []
    assert checks(watched, clock, process.pid, 6) == [process.pid]
    process.wait()


def test_patience_without_an_end(watched: Supervision, clock: list[float], process: subprocess.Popen[bytes]) -> None:
    checks(watched, clock, process.pid, 2, "{number} inf")
    assert checks(watched, clock, process.pid, 2000) == []


def test_what_starts_has_longer(watched: Supervision, clock: list[float], process: subprocess.Popen[bytes]) -> None:
    assert checks(watched, clock, process.pid, 298) == []
    assert checks(watched, clock, process.pid, 10) == [process.pid]
    process.wait()


def test_a_supervisor_that_was_stopped_kills_nobody(
    watched: Supervision, clock: list[float], process: subprocess.Popen[bytes]
) -> None:
    """All processes of a container are stopped together, and it may be the first that goes on."""
    checks(watched, clock, process.pid, 4, "{number} 0.0")
    clock[0] += 3600
    assert watched.check({process.pid: "service_Blip"}) == []
    assert process.poll() is None


def test_zero_is_for_ever(clock: list[float], process: subprocess.Popen[bytes]) -> None:
    watched = Supervision(0)
    assert checks(watched, clock, process.pid, 1000) == []
    watched.close()


def test_a_process_that_is_gone_already(watched: Supervision, clock: list[float]) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert checks(watched, clock, gone.pid, 400) == [gone.pid]


def test_the_arbiter_tells_its_processes_and_goes_on_when_checking_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    managed: list[str] = []

    class Arbiter:
        def __init__(self, watchers: list[Any]) -> None:
            self.watchers, self._stopping = watchers, False
            self.exit_stack = contextlib.ExitStack()

        def iter_watchers(self) -> list[Any]:
            return self.watchers

        def manage_watchers(self) -> None:
            managed.append("managed")

    def unreadable(self: Supervision, processes: dict[int, str]) -> list[int]:
        managed.append(str(processes))
        raise OSError

    watchers = [SimpleNamespace(name=name, env=None, processes={pid: None}) for name, pid in NAMES.items()]
    made = supervision._supervising(Arbiter, 10)(watchers)
    try:
        assert all(one.env[heartbeat.VARIABLE].endswith(str(made._supervision.folder)) for one in watchers)
        monkeypatch.setattr(Supervision, "check", unreadable)
        made.manage_watchers()
        assert managed == ["{1: 'service', 2: 'service_Blip'}", "managed"]
        made._stopping = True
        made.manage_watchers()
        assert managed[2:] == ["managed"]
    finally:
        made.exit_stack.close()
    assert not made._supervision.folder.exists()


NAMES = {"service": 1, "service_Blip": 2, "plugin:reload": 3}
