"""Places in a picture, as parts of it and in pixels."""

from __future__ import annotations

import pytest

from looksee.core.geometry import Box, Point, as_coco, in_pixels, point_in_pixels, point_within, within


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Box(0.1, 0.2, 0.3, 0.4), Box(0.1, 0.2, 0.3, 0.4)),
        (Box(-0.1, -5, 1.0001, 7), Box(0, 0, 1, 1)),
        (Box(0, 0, 1, 1), Box(0, 0, 1, 1)),
        (Box(1.2, 0.5, 1.4, 0.6), Box(1, 0.5, 1, 0.6)),
    ],
)
def test_a_box_ends_where_the_picture_ends(given: Box, expected: Box) -> None:
    assert within(given) == expected
    assert type(within(given)) is Box


@pytest.mark.parametrize(
    ("given", "expected"), [(Point(0.5, 0.25), Point(0.5, 0.25)), (Point(-1, 2), Point(0, 1)), (Point(0, 1), (0, 1))]
)
def test_a_point_is_in_the_picture(given: Point, expected: Point) -> None:
    assert point_within(given) == expected
    assert type(point_within(given)) is Point


def test_pixels_count_from_the_top_left_each_side_by_its_own_length() -> None:
    assert in_pixels(Box(0.25, 0.5, 0.75, 1), 400, 100) == Box(100, 50, 300, 100)
    assert point_in_pixels(Point(0.25, 0.5), 400, 100) == Point(100, 50)
    assert type(in_pixels(Box(0, 0, 1, 1), 3, 3)) is Box
    assert type(point_in_pixels(Point(0, 0), 3, 3)) is Point


def test_coco_has_a_corner_and_a_size() -> None:
    assert as_coco(Box(100, 50, 300, 100)) == (100, 50, 200, 50)
