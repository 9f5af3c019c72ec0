"""A phase of the run: a service, what it answers alone, the callers, the faults, and the figures."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from tools.soak import callers as calling
from tools.soak.callers import Callers, Tally
from tools.soak.faults import Faults
from tools.soak.questions import asked, drawn
from tools.soak.resources import Growth, ProcessWatch
from tools.soak.server import Server, serving

_CALLERS = 8
_WARM = 0.2  # part of a phase that is not measured: allocators and caches fill
_LOOK = 2.0  # seconds between two looks at the processes
_LINE = 20.0  # seconds between two lines of progress
_ROWS = ("looksee_rows_waiting", "looksee_rows_running")
_OPEN = 8  # files that a process may have open more, of connections that are about to close
_SETTLE = 120.0  # seconds until nothing is at work any more


@dataclass(frozen=True)
class Plan:
    """What a phase does: seconds of load, the models, how many of them are in memory (0: all), scenes, seconds between
    two faults, and the model whose process is killed (the first).
    """

    seconds: float
    models: Sequence[str]
    capacity: int = 0
    scenes: int = 40
    gap: float = 8.0
    victim: str = ""


@dataclass
class Phase:
    """What came of a phase. `at_rest` is what the service still had at work when nobody asked any more, `left_open` the
    file descriptors that it then had beyond those before anybody asked.
    """

    plan: Plan
    erred: int = 0
    questions: int = 0
    tally: Tally = field(default_factory=Tally)
    faults: dict[str, int] = field(default_factory=dict)
    growth: list[Growth] = field(default_factory=list)
    at_rest: float = 0.0
    left_open: dict[str, int] = field(default_factory=dict)
    tracebacks: int = 0
    seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        """What may not be; empty where all is well."""
        tally = self.tally
        found = [f"{len(tally.wrong)} wrong answers"] if tally.wrong else []
        found += [f"{count} x {name}" for name, count in tally.unexpected.items()]
        found += [f"{tally.hung} requests were never answered"] if tally.hung else []
        found += [f"{self.at_rest:.0f} rows are at work for nobody"] if self.at_rest else []
        found += [f"{count} more open files of {role}" for role, count in self.left_open.items() if count > _OPEN]
        found += [f"{one.what} of {one.role}: {one.first:.0f}, {one.last:.0f}" for one in self.growth if not one.flat]
        return found

    def shown(self) -> dict[str, Any]:
        """For a file of JSON."""
        return {
            **{"models": list(self.plan.models), "capacity": self.plan.capacity, "seconds": round(self.seconds, 1)},
            **{"questions": self.questions, "erred alone": self.erred, "faults": self.faults, **self.tally.shown()},
            **{"left open": self.left_open, "tracebacks": self.tracebacks, "failures": self.failures},
            "growth": [one.shown() for one in self.growth],
        }


async def phase(plan: Plan, *, quiet: bool = False) -> Phase:
    """Run a phase from the start of its service to the end of it."""
    found = Phase(plan)
    with serving(plan.models, plan.capacity) as server:
        sights = drawn(plan.scenes, "sights")
        questions = [one for model in plan.models for one in asked(model, sights, "questions")]
        known, found.erred = await calling.alone(server.url, questions)
        found.questions = len(known)
        before = _open_files(server)
        server.redis.start()
        callers = Callers(server.url, known, f"{plan.capacity}")
        found.tally = callers.tally
        faults = Faults(server, plan.models, plan.victim or plan.models[0])
        watch = ProcessWatch(server.temporary)
        began = time.monotonic()
        work = [asyncio.create_task(callers.go_on(_CALLERS)), asyncio.create_task(faults.go_on(plan.gap))]
        try:
            await _watched(plan, server, watch, callers.tally, faults, work, quiet=quiet)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        found.seconds = time.monotonic() - began
        found.faults = dict(faults.done)
        found.growth = watch.growth(_WARM * plan.seconds, 0.9 if plan.capacity else 0.5)
        found.at_rest = await _at_rest(server)
        found.left_open = await _left_open(server, before)
        found.tracebacks = server.log.read_text(errors="replace").count("Traceback (most recent call last)")
    return found


async def _watched(
    plan: Plan,
    server: Server,
    watch: ProcessWatch,
    tally: Tally,
    faults: Faults,
    work: Sequence[asyncio.Task[None]],
    *,
    quiet: bool,
) -> None:
    """Look at the processes and tell the progress until the time is up. Raises what the work raises."""
    line = 0.0
    while (passed := time.monotonic() - watch.began) < plan.seconds:
        for task in work:
            if task.done():
                await task
        await asyncio.to_thread(lambda: watch.look(server.roles()))
        if not quiet and passed >= line:
            line += _LINE
            print(_row(passed, tally, faults.done.total(), watch.total()), flush=True)
        await asyncio.sleep(_LOOK)


HEAD = "|  seconds | answers | wrong | cached | refused | left | broken | faults | memory, MiB |\n" + "|---" * 9 + "|"


def _row(seconds: float, tally: Tally, faults: int, memory: int) -> str:
    answers, refused = sum(tally.right.values()), tally.refused.total() + tally.unexpected.total()
    cells = [f"{seconds:8.0f}", f"{answers:7}", f"{len(tally.wrong):5}", f"{tally.cached:6}", f"{refused:7}"]
    cells += [f"{tally.left:4}", f"{tally.broken:6}", f"{faults:6}", f"{memory / 2**20:11.0f}"]
    return "| " + " | ".join(cells) + " |"


async def _at_rest(server: Server) -> float:
    """The rows that are at work when nobody asks any more: those that are still there after a while."""
    end = time.monotonic() + _SETTLE
    rows = 0.0
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            rows = await asyncio.to_thread(lambda: sum(map(server.metric, _ROWS)))
            if not rows:
                return 0.0
        await asyncio.sleep(0.5)
    return rows


def _open_files(server: Server) -> dict[tuple[str, int], int]:
    """By role and process, without connections to Redis: as many are kept as were used at a time."""
    found = {}
    for role, process in server.roles().items():
        with contextlib.suppress(psutil.NoSuchProcess):
            peers = [one.raddr for one in process.net_connections("tcp") if one.raddr]
            found[role, process.pid] = process.num_fds() - sum(peer.port == server.redis.port for peer in peers)
    return found


async def _left_open(server: Server, before: Mapping[tuple[str, int], int]) -> dict[str, int]:
    """What the processes that lived all the time have open beyond what they had, once kept connections are closed."""
    end = time.monotonic() + _SETTLE / 4
    while True:
        now = _open_files(server)
        more = {role: now[role, pid] - count for (role, pid), count in before.items() if (role, pid) in now}
        if time.monotonic() > end or all(count <= _OPEN for count in more.values()):
            return more
        await asyncio.sleep(0.5)
