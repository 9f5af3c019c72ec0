"""The table of the published sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """A line a model and dtype, as `bench.published` writes them; the same numbers of callers in each."""
    callers = [load["callers"] for load in lines[0]["loads"]] if lines else []
    head = ["model", "dtype", "loaded in", "memory at most"]
    for count in callers:
        who = "1 caller" if count == 1 else f"{count} callers"
        head += [f"pictures/s, {who}", f"a caption, {who}"]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for line in lines:
        cells = [f"`{line['model']}`", line["dtype"], f"{line['load_seconds']:.1f} s", f"{line['peak_gib']:.1f} GiB"]
        for load in line["loads"]:
            cells += [f"{load['rate']:.2f}", f"{load['seconds']:.1f} s"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
