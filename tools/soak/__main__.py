"""Ask for minutes while parts fail; the figures go to a file of JSON.

    python -m tools.soak --minutes 20        # or: make soak MINUTES=20

Most of the time all models are in memory; the rest of it two of them, so that they take turns. Ends with status 1
where an answer was wrong, a request was never answered, or something grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
from pathlib import Path
from typing import Any

from looksee.models.registry import REGISTRY
from tools.soak import run
from tools.soak.run import Phase, Plan
from tools.soak.tables import MEASURED, shown

_KEPT, _TURNS = 0.6, 0.4  # part of the time with all models in memory, and with two
_AT_A_TIME = 2


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a real service for minutes while parts of it fail.")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--models", nargs="*", default=list(REGISTRY), help="default: all")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--out", type=Path, default=MEASURED)
    options = parser.parse_args()
    seconds, models = 60 * options.minutes, options.models
    plans = [Plan(seconds * _KEPT, models, 0, options.scenes)]
    if len(models) > _AT_A_TIME:
        plans.append(Plan(seconds * _TURNS, models, _AT_A_TIME, options.scenes, victim=models[-1]))
    phases: list[Phase] = []
    for plan in plans:
        held = f"{plan.capacity} of them in memory" if plan.capacity else "all in memory"
        print(f"\n{', '.join(models)}; {held}; {plan.seconds:.0f} s\n\n{run.HEAD}", flush=True)
        phases.append(asyncio.run(run.phase(plan)))
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(described(phases), indent=2) + "\n")
    print(f"\n{table(phases)}\n\nfigures: {options.out}")
    failures = [failure for phase in phases for failure in phase.failures]
    print("\n".join(["", *(f"FAILED: {failure}" for failure in failures)]) if failures else "\nall answers belong")
    return 1 if failures else 0


def described(phases: list[Phase]) -> dict[str, Any]:
    return {
        "machine": f"{platform.machine()}, {platform.system()}",
        "minutes": round(sum(phase.seconds for phase in phases) / 60, 1),
        "phases": [phase.shown() for phase in phases],
    }


def table(phases: list[Phase]) -> str:
    """What grew and what did not, in Markdown."""
    lines = ["| in memory | process | what | first third | last third | at most |", "|---|---|---|---|---|---|"]
    for phase in phases:
        for one in phase.growth:
            first, last, most = (shown(one.what, value) for value in (one.first, one.last, one.most))
            lines.append(f"| {phase.plan.capacity or 'all'} | {one.role} | {one.what} | {first} | {last} | {most} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
