"""The tables of `docs/reliability.md`."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.faults.protections import PROTECTIONS

RECORDED = Path(__file__).parent / "faults.json"


def recorded() -> dict[str, Any]:
    """The rows, the day and the machine of the latest `make reliability`."""
    found: dict[str, Any] = json.loads(RECORDED.read_text())
    return found


def faults() -> str:
    """One row for each fault that the suite makes."""
    found = recorded()
    lines = [
        f"Measured {found['date']}, {found['machine']}.",
        "",
        "| fault | requests ended | longest, s | all well again after, s | wrong answers | test |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["faults"]:
        cells = [row["name"], row["seen"], _number(row["longest"]), _number(row["again"])]
        cells += ["" if row["wrong"] is None else str(row["wrong"]), _test(row["test"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def protections() -> str:
    """One row for each protection, by the room that has it."""
    lines = ["| without this | in | this fails |", "|---|---|---|"]
    files = [one.file for one in PROTECTIONS]
    for file, some in groupby(sorted(PROTECTIONS, key=lambda one: files.index(one.file)), key=lambda one: one.file):
        lines += [f"| {one.name} | `{file}` | {_test(one.test)} |" for one in some]
    return "\n".join(lines)


def _number(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


def _test(test: str) -> str:
    """A test, without what all their addresses have."""
    file, _, name = test.removeprefix("tests/").partition("::")
    return f"`{file.removesuffix('.py')}` {name.replace('_', ' ').removeprefix('test ')}"
