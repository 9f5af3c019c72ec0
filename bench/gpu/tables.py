"""The tables of the models on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def tables(models: Sequence[Mapping[str, Any]]) -> str:
    """Two: passes over pictures and prompts, and decode steps. `models` are those of `bench.gpu.measuring.record`."""
    lines = ["| model | pictures | encoder ms | of the limit | prompt | prefill ms | of the limit |", "|---" * 7 + "|"]
    for one in models:
        for encode, prefill in zip(one["encode"], one["prefill"], strict=True):
            cells = [f"`{one['name']}`", str(encode["rows"]), _ms(encode["seconds"]), f"{encode['of_limit']:.0%}"]
            cells += [str(one["prompt"]), _ms(prefill["seconds"]), f"{prefill['of_limit']:.0%}"]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| model | rows | steps | ms | rows/s | of the limit | slowest ms | same rows |", "|---" * 8 + "|"]
    for one in models:
        for step in one["steps"]:
            cells = [f"`{one['name']}`", str(step["rows"]), step["way"], _ms(step["seconds"])]
            cells += [f"{step['rows'] / step['seconds']:.0f}", f"{step['of_limit']:.0%}", _ms(step["slowest"])]
            cells.append("" if step["same"] is None else f"{step['same']:.0%}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"
