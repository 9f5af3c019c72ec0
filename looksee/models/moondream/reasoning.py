"""Thoughts as text, and the places that were named while parts of it were thought (specification, section 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from looksee.core.geometry import Point
from looksee.core.tasks import Grounding, Reasoning
from looksee.models.moondream.config import TokenizerConfig
from looksee.models.moondream.sequence_items import CoordinateItem, Piece


@dataclass(slots=True)
class _Part:
    ids: list[int] = field(default_factory=list)
    coordinates: list[float] = field(default_factory=list)


def reasoning(thoughts: Sequence[Piece], names: TokenizerConfig, decode: Callable[[list[int]], str]) -> Reasoning:
    """What was thought. A new part begins with each beginning or end of grounding; an odd coordinate is dropped."""
    parts = [_Part()]
    for piece in thoughts:
        if piece in (names.start_ground_points_id, names.end_ground_id):
            parts.append(_Part())
        if isinstance(piece, CoordinateItem):
            parts[-1].ids.append(names.coord_id)
            parts[-1].coordinates.append(piece.value)
        elif isinstance(piece, int):
            parts[-1].ids.append(piece)
    text, grounding = "", []
    for part in parts:
        start, text = len(text), text + decode(part.ids)
        points = tuple(map(Point, part.coordinates[::2], part.coordinates[1::2]))
        if points:
            grounding.append(Grounding(start, len(text), points))
    return Reasoning(text, tuple(grounding))
