"""The tables of the soak in `docs/reliability.md`, from the latest `make soak`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).parent / "measured" / "soak.json"
_MIB = 2**20
_IN_BYTES = ("rss", "pss")


def measured() -> dict[str, Any]:
    """What `tools.soak` wrote."""
    found: dict[str, Any] = json.loads(MEASURED.read_text())
    return found


def tables() -> str:
    """What was asked and answered, then what each process held in the first and in the last third of the time."""
    found = measured()
    lines = [f"Measured for {found['minutes']:.0f} minutes, {found['machine']}.", ""]
    lines += [
        "| models in memory | minutes | answers | wrong | never answered | unexpected | from the cache | faults |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for phase in found["phases"]:
        faults = ", ".join(f"{count} x {name}" for name, count in phase["faults"].items())
        cells = [_held(phase), f"{phase['seconds'] / 60:.1f}", phase["answers"], len(phase["wrong"]), phase["hung"]]
        cells += [sum(phase["unexpected"].values()), phase["cached"], faults]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "| models in memory | process | what | first third | last third |", "|---|---|---|---|---|"]
    for phase in found["phases"]:
        for one in phase["growth"]:
            first, last = (shown(one["what"], one[part]) for part in ("first", "last"))
            lines.append(f"| {_held(phase)} | {one['role']} | {one['what']} | {first} | {last} |")
    return "\n".join(lines)


def shown(what: str, value: float) -> str:
    """An amount of what was watched, with its unit."""
    return f"{value / _MIB:.0f} MiB" if what in _IN_BYTES else f"{value:.0f}"


def _held(phase: dict[str, Any]) -> str:
    return str(phase["capacity"] or "all")
