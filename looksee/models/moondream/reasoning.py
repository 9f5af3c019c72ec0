"""Thoughts as text, with the points that ground parts of it (specification, section 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from looksee.core.geometry import Point
from looksee.core.tasks import Grounding, Reasoning
from looksee.models.moondream.config import TokenizerConfig
from looksee.models.moondream.sequence_items import CoordinateItem, SequenceItem


@dataclass(slots=True)
class _Span:
    """Consecutive thoughts with the same grounding. A coordinate is in `ids` as its special id too."""

    ids: list[int] = field(default_factory=list)
    coordinates: list[float] = field(default_factory=list)


def reasoning_of(
    thoughts: Sequence[SequenceItem], special_ids: TokenizerConfig, decode: Callable[[list[int]], str]
) -> Reasoning:
    """The thoughts' text and grounding. Each begin or end of grounding starts a span; an odd coordinate is dropped."""
    spans = [_Span()]
    for item in thoughts:
        if item in (special_ids.start_ground_points_id, special_ids.end_ground_id):
            spans.append(_Span())
        if isinstance(item, CoordinateItem):
            spans[-1].ids.append(special_ids.coord_id)
            spans[-1].coordinates.append(item.value)
        elif isinstance(item, int):
            spans[-1].ids.append(item)
    text, grounding = "", []
    for span in spans:
        start, text = len(text), text + decode(span.ids)
        points = tuple(map(Point, span.coordinates[::2], span.coordinates[1::2]))
        if points:
            grounding.append(Grounding(start, len(text), points))
    return Reasoning(text, tuple(grounding))
