"""The same question in other words keeps its right answer, and every wording comes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from looksee.core.images import decode
from samples.world import scenes, wordings
from samples.world.scenes import COLOURS, SHAPES

MANY = 400


def made(write: Callable[[random.Random], str]) -> set[str]:
    return {write(random.Random(number)) for number in range(MANY)}


@pytest.mark.parametrize(
    ("name", "expected"), [("circle", "circles"), ("red cross", "red crosses"), ("shape", "shapes")]
)
def test_plurals(name: str, expected: str) -> None:
    assert wordings.plural(name) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "Is there a red circle?",
            {
                "IS THERE A RED CIRCLE?",
                "is there a red circle?",
                "Are there red circles?",
                "Are there any red circles?",
            },
        ),
        ("What color is the cross?", {"What colour is the cross?", "What color are the crosses?"}),
        ("What shape is red?", {"What shape is red", "WHAT SHAPE IS RED?", "What Shape Is Red?"}),
        ("How many shapes are there?", {"how many shapes are there?", "How many shapes are there"}),
    ],
)
def test_questions(question: str, expected: set[str]) -> None:
    found = made(lambda rng: wordings.question(question, rng))
    assert question in found
    assert expected <= found


def test_a_flags_ending_is_for_questions_of_yes_or_no() -> None:
    assert any("Answer yes or no." in text for text in made(lambda rng: wordings.question("Is there a cross?", rng)))
    assert not any("nswer" in text for text in made(lambda rng: wordings.question("What shape is red?", rng)))


def test_names() -> None:
    found = made(lambda rng: wordings.name("red circle", rng))
    assert {"red circle", "Red Circle", "RED CIRCLE", "red circles", "the red circle", "red circle."} <= found
    assert all("red" in text.lower() and "circle" in text.lower() for text in found)


def test_instructions_are_many_and_short() -> None:
    found = made(wordings.instructions)
    assert len(found) > MANY * 0.8
    assert max(map(len, found)) <= 220
    assert any(text.startswith("You are a helpful assistant.") for text in found)
    assert any(colour in text for text in found for colour in COLOURS), "they may speak of what is in pictures"
    assert any(shape in text for text in found for shape in SHAPES)


def test_a_cut_out_is_the_scene_without_its_ground() -> None:
    rng = random.Random(4)
    scene = scenes.compose(rng, count=3, sides=(200, 300))
    picture = scenes.cut_out(scene, rng)
    assert picture.getpixel((0, 0)) == (0, 0, 0, 0)
    seen = decode(scenes.encode(picture, rng, ("PNG",)))
    assert seen.getpixel((0, 0)) == (255, 255, 255)
    for thing in scene.things:
        middle = (round(thing.x * scene.width), round(thing.y * scene.height))
        assert seen.getpixel(middle) == COLOURS[thing.colour]


def test_strange_words_ask_for_nothing_of_this_world() -> None:
    found = made(wordings.strange)
    assert len(found) > MANY // 2
    assert {"Who?", "?"} <= found
    assert any(text.isupper() for text in found)
    assert not any("JSON" in text for text in found)
