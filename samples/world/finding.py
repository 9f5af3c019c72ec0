"""How good found places are: boxes against the things that were meant, points inside of them."""

from __future__ import annotations

from collections.abc import Sequence

from samples.world.scenes import Thing

Corners = tuple[float, float, float, float]  # x_min, y_min, x_max, y_max, in parts of the picture's sides
Spot = tuple[float, float]  # x, y

OVERLAP = 0.5  # intersection over union of a box that counts
_BAR = 1 / 3  # a cross's bars, in parts of its width


def matched(things: Sequence[Thing], boxes: Sequence[Corners]) -> int:
    """How many things have a box of their own that overlaps them well enough, the best pairs first."""
    pairs = sorted(
        ((overlap(corners(thing), box), number, place) for number, thing in enumerate(things)
         for place, box in enumerate(boxes)),
        reverse=True,
    )  # fmt: skip
    found: set[int] = set()
    used: set[int] = set()
    for good, number, place in pairs:
        if good >= OVERLAP and number not in found and place not in used:
            found.add(number)
            used.add(place)
    return len(found)


def pointed(things: Sequence[Thing], points: Sequence[Spot]) -> bool:
    """Whether there are as many points as things and each lies in a thing of its own."""
    if len(things) != len(points):
        return False
    rest = list(things)
    for spot in points:
        inside = [thing for thing in rest if contains(thing, spot)]
        if not inside:
            return False
        rest.remove(inside[0])  # things do not overlap
    return True


def contains(thing: Thing, spot: Spot) -> bool:
    """Whether a point lies on what is drawn of a thing, not just in its box."""
    across, down = (spot[0] - thing.x) / thing.half_width, (spot[1] - thing.y) / thing.half_height
    if max(abs(across), abs(down)) > 1:
        return False
    return {
        "circle": across**2 + down**2 <= 1,
        "square": True,
        "triangle": abs(across) <= (down + 1) / 2,
        "cross": min(abs(across), abs(down)) <= _BAR,
    }[thing.shape]


def corners(thing: Thing) -> Corners:
    return (
        thing.x - thing.half_width,
        thing.y - thing.half_height,
        thing.x + thing.half_width,
        thing.y + thing.half_height,
    )


def overlap(one: Corners, other: Corners) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (_area(one) + _area(other) - width * height)


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
