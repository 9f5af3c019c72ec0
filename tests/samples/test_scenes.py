"""The drawn world keeps its own rules, and says the truth about itself."""

from __future__ import annotations

import functools
import itertools
import random

import numpy as np
import pytest
from PIL import Image

from looksee.core.images import decode
from samples.world import scenes
from samples.world.scenes import COLOURS, SHAPES, Scene, Thing, compose, draw, encode

SIDES = (64, 1024)
SLIP = 1e-9


@functools.cache
def composed() -> tuple[Scene, ...]:
    """300 scenes: a hundred each of one, two and three things."""
    rng = random.Random(2024)
    return tuple(compose(rng, count=1 + number % 3, sides=SIDES) for number in range(300))


def box(thing: Thing, scene: Scene) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in pixels."""
    return (
        (thing.x - thing.half_width) * scene.width,
        (thing.y - thing.half_height) * scene.height,
        (thing.x + thing.half_width) * scene.width,
        (thing.y + thing.half_height) * scene.height,
    )


def pairs() -> list[tuple[Scene, Thing, Thing]]:
    return [(scene, one, other) for scene in composed() for one, other in itertools.combinations(scene.things, 2)]


def test_there_are_as_many_things_as_were_asked_for() -> None:
    assert [len(scene.things) for scene in composed()] == [1, 2, 3] * 100
    assert len(pairs()) == 400


def test_without_a_count_all_counts_come() -> None:
    rng = random.Random(5)
    assert {len(compose(rng).things) for _ in range(60)} == {1, 2, 3}


def test_canvases_are_neither_too_small_nor_too_large_nor_too_long() -> None:
    for scene in composed():
        short, long = sorted((scene.width, scene.height))
        assert SIDES[0] <= short
        assert long <= SIDES[1]
        assert long - short * 4 / 3 <= 1  # a pixel of tolerance
    assert any(scene.width > scene.height for scene in composed())
    assert any(scene.width < scene.height for scene in composed())


@pytest.mark.parametrize("sides", [(64, 64), (120, 320), (384, 384)])
def test_other_sides_are_kept_too(sides: tuple[int, int]) -> None:
    rng = random.Random(6)
    for _ in range(30):
        scene = compose(rng, sides=sides)
        assert sides[0] <= min(scene.width, scene.height)
        assert max(scene.width, scene.height) <= sides[1]


def test_things_are_known_colours_and_shapes_and_all_of_them_come() -> None:
    things = [thing for scene in composed() for thing in scene.things]
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.shape for thing in things} == set(SHAPES)


def test_things_are_inside() -> None:
    for scene in composed():
        for thing in scene.things:
            left, top, right, bottom = box(thing, scene)
            assert left >= 0
            assert top >= 0
            assert right <= scene.width
            assert bottom <= scene.height


def test_sizes() -> None:
    for scene in composed():
        short = min(scene.width, scene.height)
        for thing in scene.things:
            left, top, right, bottom = box(thing, scene)
            assert 0.18 * short - SLIP * short <= right - left <= 0.40 * short + SLIP * short
            low = 0.8 if thing.shape == "triangle" else 1.0
            assert (low - SLIP) * (right - left) <= bottom - top <= (1 + SLIP) * (right - left)


def test_boxes_keep_their_distance() -> None:
    for scene, one, other in pairs():
        gap = 0.03 * min(scene.width, scene.height) * (1 - SLIP)
        first, second = box(one, scene), box(other, scene)
        beside = max(second[0] - first[2], first[0] - second[2])
        below = max(second[1] - first[3], first[1] - second[3])
        assert max(beside, below) >= gap


def test_the_order_from_left_to_right_is_plain() -> None:
    for _, one, other in pairs():
        assert other.x - one.x >= 0.05 - SLIP  # of the width, and in this order


def test_things_stand_side_by_side_and_above_each_other() -> None:
    beside = below = 0
    for scene, one, other in pairs():
        first, second = box(one, scene), box(other, scene)
        beside += first[2] < second[0] and first[1] < second[3] and second[1] < first[3]
        below += first[2] > second[0]
    assert min(beside, below) > 40


def test_a_scene_with_no_room_left_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "_GAP", 0.25)
    rng = random.Random(8)
    assert [len(compose(rng, count=3).things) for _ in range(30)] == [3] * 30


@pytest.mark.parametrize(
    ("names", "caption"),
    [
        (["red circle"], "a red circle"),
        (["red circle", "blue square"], "a red circle and a blue square"),
        (["red circle", "blue square", "green cross"], "a red circle, a blue square and a green cross"),
        (["black triangle", "black triangle"], "a black triangle and a black triangle"),
    ],
)
def test_captions(names: list[str], caption: str) -> None:
    things = tuple(Thing(colour, shape, 0.1, 0.5, 0.05, 0.05) for colour, shape in map(str.split, names))
    assert Scene(100, 100, things).caption() == caption
    assert [thing.name for thing in things] == names


def test_a_caption_names_the_things_from_left_to_right() -> None:
    for scene in composed():
        said = scene.caption().replace(" and ", ", ").split(", ")
        assert said == [f"a {thing.colour} {thing.shape}" for thing in scene.things]


def scene_of(*things: tuple[str, float]) -> Scene:
    """A scene of (name, centre x)."""
    words = [(*name.partition(" "), x) for name, x in things]
    return Scene(100, 100, tuple(Thing(colour, shape, x, 0.5, 0.05, 0.05) for colour, _, shape, x in words))


@pytest.mark.parametrize(
    ("things", "short", "long"),
    [
        ([("red circle", 0.3)], "one shape", "a red circle on the left"),
        ([("red circle", 0.34)], "one shape", "a red circle in the middle"),
        ([("red circle", 0.66)], "one shape", "a red circle in the middle"),
        ([("red circle", 0.67)], "one shape", "a red circle on the right"),
        (
            [("red circle", 0.6), ("blue square", 0.9)],
            "two shapes",
            "a red circle on the left and a blue square on the right",
        ),
        (
            [("red circle", 0.1), ("blue square", 0.2), ("green cross", 0.3)],
            "three shapes",
            "a red circle on the left, a blue square in the middle and a green cross on the right",
        ),
    ],
)
def test_captions_of_other_lengths(things: list[tuple[str, float]], short: str, long: str) -> None:
    scene = scene_of(*things)
    assert (scene.short_caption(), scene.long_caption()) == (short, long)


def test_things_are_found_by_name_and_by_shape() -> None:
    scene = scene_of(("red circle", 0.1), ("blue circle", 0.5), ("red square", 0.9))
    places = {
        words: [thing.x for thing in scene.find(words)]
        for words in ("shape", "circle", "red square", "blue square", "cross")
    }
    assert places == {
        "shape": [0.1, 0.5, 0.9],
        "circle": [0.1, 0.5],
        "red square": [0.9],
        "blue square": [],
        "cross": [],
    }


def pixels(picture: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.asarray(picture).astype(np.int16)


def made(seed: int) -> tuple[Scene, Image.Image, bytes]:
    rng = random.Random(seed)
    scene = compose(rng, sides=(64, 256))
    picture = draw(scene, rng)
    return scene, picture, encode(picture, rng)


@pytest.mark.parametrize("seed", range(8))
def test_the_same_seed_gives_the_same_picture(seed: int) -> None:
    one, other = made(seed), made(seed)
    assert one[0] == other[0]
    assert one[1].tobytes() == other[1].tobytes()
    assert one[2] == other[2]


def test_other_seeds_give_other_pictures() -> None:
    assert len({made(seed)[1].tobytes() for seed in range(8)}) == 8


def test_drawing_is_true_to_the_scene() -> None:
    """At each thing's centre of mass there is its colour, and nearly all of the ground is light."""
    rng = random.Random(9)
    for scene in [compose(rng, sides=(64, 256)) for _ in range(40)]:
        picture = draw(scene, rng)
        assert (picture.mode, picture.size) == ("RGB", (scene.width, scene.height))
        found = pixels(picture)
        for thing in scene.things:
            across, down = round(thing.x * scene.width), round((thing.y + 0.2 * thing.half_height) * scene.height)
            patch = found[down - 1 : down + 2, across - 1 : across + 2].mean(axis=(0, 1))
            assert np.abs(patch - np.array(COLOURS[thing.colour])).max() <= scenes._COLOUR_SHIFT + 16, thing
        ground = np.ones(found.shape[:2], dtype=bool)
        for thing in scene.things:
            left, top, right, bottom = box(thing, scene)
            ground[int(top) : int(bottom) + 2, int(left) : int(right) + 2] = False
        assert found[ground].mean() > 180
        assert (found[ground].min(axis=1) > 120).mean() > 0.99


def test_shapes_differ_where_they_should() -> None:
    """Of a box from 20 to 180: a corner above and one below, the middles of two sides, the centre, and half-way out."""
    spots = ((26, 26), (28, 174), (100, 30), (26, 100), (100, 100), (60, 60))
    expected = {
        "circle": (False, False, True, True, True, True),
        "square": (True, True, True, True, True, True),
        "triangle": (False, True, True, False, True, False),
        "cross": (False, False, True, True, True, False),
    }
    for shape, inside in expected.items():
        scene = Scene(200, 200, (Thing("black", shape, 0.5, 0.5, 0.4, 0.4),))
        dark = pixels(draw(scene, random.Random(11))).mean(axis=2) < 120
        assert tuple(bool(dark[y, x]) for x, y in spots) == inside, shape


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_survives_its_file(kind: str) -> None:
    _, picture, _ = made(3)
    again = decode(encode(picture, random.Random(1), (kind,)))
    assert (again.mode, again.size) == ("RGB", picture.size)
    difference = np.abs(pixels(again) - pixels(picture))
    assert difference.max() == 0 if kind == "PNG" else difference.mean() < 12


def test_a_scene_in_another_size_is_the_same_scene() -> None:
    scene = composed()[2]
    larger = scene.with_size(scene.width * 2, scene.height * 2)
    assert (larger.width, larger.height, larger.things) == (scene.width * 2, scene.height * 2, scene.things)
    assert larger.caption() == scene.caption()
