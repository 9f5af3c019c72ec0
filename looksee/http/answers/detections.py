"""Boxes and points in the requested form: normalised, in pixels, as COCO has them, or drawn into the picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from looksee.core.geometry import Box, Point, as_coco, in_pixels, point_in_pixels
from looksee.core.images import Picture, annotate
from looksee.http import error_responses

PlaceT = TypeVar("PlaceT", Box, Point)
ViewT = TypeVar("ViewT", bound=BaseModel)

# A picture that is drawn into takes its size in memory, several times over: no more than these at once.
_DRAWING = ThreadPoolExecutor(2, "annotate")
_DIGITS = 2  # of pixels: as many as the files of COCO have
_ANNOTATE = Field(False, description="answer a PNG: the picture, upright, with what was found drawn into it")


class BoxView(BaseModel):
    """How boxes are to be answered: the query parameters."""

    format: Literal["normalized", "pixel", "coco"] = Field(
        "normalized",
        description="parts of the picture's sides (0 to 1), pixels, or `bbox` as COCO has it, "
        "`[left, top, width, height]` in pixels; pixels are rounded to hundredths",
    )
    annotate: bool = _ANNOTATE


class PointView(BaseModel):
    """How points are to be answered: the query parameters."""

    format: Literal["normalized", "pixel"] = Field(
        "normalized",
        description="parts of the picture's sides (0 to 1), or pixels, rounded to hundredths",
    )
    annotate: bool = _ANNOTATE


def view(kind: type[ViewT], parameters: Mapping[str, str]) -> ViewT:
    """A view out of a request's query parameters. Raises InvalidValue."""
    try:
        return kind.model_validate(dict(parameters))
    except ValidationError as error:
        raise error_responses.of_model(error, kind) from error


def detections(found: Sequence[Box], label: str, picture: Picture, view: BoxView) -> list[dict[str, Any]]:
    """The boxes as the members of an answer."""
    if view.format == "normalized":
        return [{"label": label, **box._asdict()} for box in found]
    in_place = [in_pixels(box, picture.width, picture.height) for box in found]
    if view.format == "coco":
        return [{"label": label, "bbox": [round(value, _DIGITS) for value in as_coco(box)]} for box in in_place]
    return [{"label": label, **_rounded(box._asdict())} for box in in_place]


def coordinates(found: Sequence[Point], picture: Picture, view: PointView) -> list[dict[str, float]]:
    """The points as the members of an answer."""
    if view.format == "normalized":
        return [point._asdict() for point in found]
    return [_rounded(point_in_pixels(point, picture.width, picture.height)._asdict()) for point in found]


async def drawn_boxes(picture: Picture, found: Sequence[tuple[str, Sequence[Box]]]) -> bytes:
    """The picture with the boxes of things, by their labels, as a PNG file. Raises CorruptImage."""
    return await _drawn(annotate.boxes, picture, found)


async def drawn_points(picture: Picture, found: Sequence[tuple[str, Sequence[Point]]]) -> bytes:
    """The picture with the points of things, by their labels, as a PNG file. Raises CorruptImage."""
    return await _drawn(annotate.points, picture, found)


async def _drawn(
    draw: Callable[[bytes, Sequence[tuple[str, Sequence[PlaceT]]]], bytes],
    picture: Picture,
    found: Sequence[tuple[str, Sequence[PlaceT]]],
) -> bytes:
    return await asyncio.get_running_loop().run_in_executor(_DRAWING, draw, picture.data, found)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in values.items()}
