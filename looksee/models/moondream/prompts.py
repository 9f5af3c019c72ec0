"""The prompt of each skill, as the items that follow the image's prefix (specification, section 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from looksee.core import errors
from looksee.models.moondream.config import Template, TokenizerConfig
from looksee.models.moondream.sequence_items import CoordinateItem, SequenceItem, SizeItem

Reference = Sequence[float]  # (x, y) or (x_min, y_min, x_max, y_max), each 0 to 1


def caption(special_ids: TokenizerConfig, length: str) -> list[SequenceItem]:
    """Raises InvalidValue for a length that is not in the templates."""
    lengths = special_ids.templates.caption
    if length not in lengths:
        raise errors.InvalidValue(f"'length' must be one of: {', '.join(lengths)}.", param="length")
    return [*lengths[length]]


def query(
    special_ids: TokenizerConfig,
    question: Sequence[int],
    *,
    references: Sequence[Reference] = (),
    reasoning: bool = False,
    image: bool = True,
) -> list[SequenceItem]:
    """A question by its token ids. Without an image the sequence begins here, with the BOS id. Raises InvalidValue.

    The model was trained with the template's suffix and then the id of what follows, which for an answer is the same id
    again.
    """
    template = special_ids.templates.query
    start = [] if image else [special_ids.bos_id]
    follows = special_ids.thinking_id if reasoning else special_ids.answer_id
    return [*start, *template.prefix, *reference_items(references), *question, *template.suffix, follows]


def region(template: Template, name: Sequence[int], *, references: Sequence[Reference] = ()) -> list[SequenceItem]:
    """The objects to detect or to point at, by the token ids of their `name` with a leading space."""
    return [*template.prefix, *reference_items(references), *name, *template.suffix]


def reference_items(references: Sequence[Reference]) -> list[SequenceItem]:
    """A point as two coordinates, a box as its centre and its size. Raises InvalidValue."""
    items: list[SequenceItem] = []
    for reference in references:
        if not all(math.isfinite(number) and 0 <= number <= 1 for number in reference):
            raise errors.InvalidValue("Spatial references must be numbers from 0 to 1.", param="spatial_refs")
        match reference:
            case [x, y]:
                items += [CoordinateItem(x), CoordinateItem(y)]
            case [x_min, y_min, x_max, y_max] if x_min <= x_max and y_min <= y_max:
                items += [CoordinateItem((x_min + x_max) / 2), CoordinateItem((y_min + y_max) / 2)]
                items.append(SizeItem(x_max - x_min, y_max - y_min))
            case _:
                raise errors.InvalidValue(
                    "A spatial reference must be [x, y] or [x_min, y_min, x_max, y_max].", param="spatial_refs"
                )
    return items
