"""The member `reasoning` of answers that have one."""

from __future__ import annotations

from typing import Any

from looksee.core.tasks import Reasoning


def reasoning_member(reasoning: Reasoning | None) -> dict[str, Any]:
    """The member `reasoning`, in the Moondream client's shape; nothing for an answer without one."""
    if reasoning is None:
        return {}
    grounding = [
        {"start_idx": part.start, "end_idx": part.end, "points": [list(point) for point in part.points]}
        for part in reasoning.grounding
    ]
    return {"reasoning": {"text": reasoning.text, "grounding": grounding}}
