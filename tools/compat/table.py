"""The table of `docs/compatibility.md`, out of the latest `make compat`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.compat.program import CompatProgram, all_programs

MEASURED = Path(__file__).parent / "measured.json"


def measured() -> dict[str, dict[str, Any]]:
    """The latest result of each program, by its name."""
    found: dict[str, dict[str, Any]] = json.loads(MEASURED.read_text())
    return found


def markdown() -> str:
    """One row for each program."""
    results = measured()
    lines = ["| program | registry | versions | asked | right answers | day |", "|---|---|---|---|---|---|"]
    for program in all_programs():
        told = results.get(program.name)
        cells = [program.title, program.registry, _versions(program), program.asks]
        lines.append(f"| {' | '.join([*cells, *_told(told)])} |")
    return "\n".join(lines)


def _versions(program: CompatProgram) -> str:
    return ", ".join(f"`{package}`" for package in (*program.packages, *program.alone))


def _told(result: dict[str, Any] | None) -> tuple[str, str]:
    if result is None:
        return "not run yet", ""
    if not result["asked"]:
        return f"could not run: {result['wrong']}", result["date"]
    wrong = f"; {result['wrong']}" if result["wrong"] else ""
    return f"{result['right']} of {result['asked']}{wrong}", result["date"]
