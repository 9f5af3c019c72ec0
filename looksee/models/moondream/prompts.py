"""The prompt of each skill, as pieces that follow the picture (specification, section 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from looksee.core import errors
from looksee.models.moondream.config import Template, TokenizerConfig
from looksee.models.moondream.sequence_items import CoordinateItem, Piece, SizeItem

Reference = Sequence[float]  # (x, y) or (x_min, y_min, x_max, y_max), each 0 to 1


def caption(names: TokenizerConfig, length: str) -> list[Piece]:
    """Raises InvalidValue for a length that is not in the templates."""
    lengths = names.templates.caption
    if length not in lengths:
        raise errors.InvalidValue(f"'length' must be one of: {', '.join(lengths)}.", param="length")
    return [*lengths[length]]


def query(
    names: TokenizerConfig,
    question: Sequence[int],
    *,
    references: Sequence[Reference] = (),
    reasoning: bool = False,
    picture: bool = True,
) -> list[Piece]:
    """A question. Without a picture the sequence begins here.

    The model was trained with the template's suffix and then the id that says what follows, which for an answer is the
    same id again.
    """
    template = names.templates.query
    start = [] if picture else [names.bos_id]
    follows = names.thinking_id if reasoning else names.answer_id
    return [*start, *template.prefix, *places(references), *question, *template.suffix, follows]


def region(template: Template, thing: Sequence[int], *, references: Sequence[Reference] = ()) -> list[Piece]:
    """What to detect or to point at; `thing` is encoded with a leading space."""
    return [*template.prefix, *places(references), *thing, *template.suffix]


def places(references: Sequence[Reference]) -> list[Piece]:
    """A point as two coordinates, a box as its centre and its size. Raises InvalidValue."""
    pieces: list[Piece] = []
    for reference in references:
        if not all(math.isfinite(number) and 0 <= number <= 1 for number in reference):
            raise errors.InvalidValue("Spatial references must be numbers from 0 to 1.", param="spatial_refs")
        match reference:
            case [x, y]:
                pieces += [CoordinateItem(x), CoordinateItem(y)]
            case [x_min, y_min, x_max, y_max] if x_min <= x_max and y_min <= y_max:
                pieces += [CoordinateItem((x_min + x_max) / 2), CoordinateItem((y_min + y_max) / 2)]
                pieces.append(SizeItem(x_max - x_min, y_max - y_min))
            case _:
                raise errors.InvalidValue(
                    "A spatial reference must be [x, y] or [x_min, y_min, x_max, y_max].", param="spatial_refs"
                )
    return pieces
