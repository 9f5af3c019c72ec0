"""Places in a picture: boxes and points, origin at the top left of the picture as a person sees it.

Normalised ones are parts of the picture's width and height, 0 to 1.
"""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    x: float
    y: float


class Box(NamedTuple):
    x_min: float
    y_min: float
    x_max: float
    y_max: float


def within(box: Box) -> Box:
    """The part of a normalised box that lies in the picture."""
    return Box(*map(_clamped, box))


def point_within(point: Point) -> Point:
    """The point of the picture that is nearest to a normalised one."""
    return Point(*map(_clamped, point))


def in_pixels(box: Box, width: int, height: int) -> Box:
    """A normalised box in pixels, not rounded."""
    return Box(box.x_min * width, box.y_min * height, box.x_max * width, box.y_max * height)


def point_in_pixels(point: Point, width: int, height: int) -> Point:
    """A normalised point in pixels, not rounded."""
    return Point(point.x * width, point.y * height)


def as_coco(box: Box) -> tuple[float, float, float, float]:
    """A box as COCO writes it: left, top, width and height."""
    return box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min


def _clamped(value: float) -> float:
    return min(max(value, 0.0), 1.0)
