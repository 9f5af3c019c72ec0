"""The table of the engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """A line an engine: milliseconds of a prompt and of a step, by rows."""
    rows = [load["rows"] for load in lines[0]["loads"]] if lines else []
    head = ["engine"]
    for count in rows:
        who = "1 row" if count == 1 else f"{count} rows"
        head += [f"prompt, {who}, ms", f"a step, {who}, ms"]
    found = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for line in lines:
        cells = [line["engine"]]
        for load in line["loads"]:
            cells += [f"{load['prefill_seconds'] * 1000:.0f}", f"{load['step_seconds'] * 1000:.1f}"]
        found.append(f"| {' | '.join(cells)} |")
    return "\n".join(found)
