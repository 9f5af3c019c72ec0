"""What is asked about scenes, and the right answers: captions, questions, one caption for several pictures."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from samples.world.scenes import COLOURS, NUMBERS, SHAPES, Scene, Thing


@dataclass(frozen=True)
class Exercise:
    """A task about the pictures with these numbers, its words (none: the default prompt) and the right answer.

    The answer of a task that looks for `things` is where they are. A chat may have `instructions`, and questions about
    the same pictures that were asked and answered before. The keys of a `forced` answer are written by a grammar.
    The words of an exercise in JSON may ask a question, to which alone this would be `said`.
    """

    task: str
    pictures: tuple[int, ...]
    words: str
    answer: str = ""
    things: tuple[Thing, ...] = ()
    instructions: str = ""
    before: tuple[tuple[str, str], ...] = ()
    forced: bool = False
    said: str = ""


def questions(scene: Scene, rng: random.Random) -> list[tuple[str, str]]:
    """One question of each kind that has an answer, with that answer: colour, shape, count, and two of yes or no."""
    colours = [thing.colour for thing in scene.things]
    shapes = [thing.shape for thing in scene.things]
    found = []
    if unique := [thing for thing in scene.things if shapes.count(thing.shape) == 1]:
        thing = rng.choice(unique)
        found.append((f"What color is the {thing.shape}?", thing.colour))
    if unique := [thing for thing in scene.things if colours.count(thing.colour) == 1]:
        thing = rng.choice(unique)
        found.append((f"What shape is {thing.colour}?", thing.shape))
    found.append(("How many shapes are there?", NUMBERS[len(scene.things) - 1]))
    found.append(is_there(scene, rng))
    return found


def is_there(scene: Scene, rng: random.Random) -> tuple[str, str]:
    """About a coloured shape, or about a shape alone; half of the answers are yes."""
    names = {thing.name for thing in scene.things}
    shapes = {thing.shape for thing in scene.things}
    if rng.random() < 0.3:
        there, all_names = shapes, set(SHAPES)
    else:
        there, all_names = names, {f"{colour} {shape}" for colour in COLOURS for shape in SHAPES}
    absent = all_names - there
    yes = rng.random() < 0.5 or not absent
    if not yes and there is names and rng.random() < 0.7:  # a harder no: the colour and the shape occur, not together
        near = {f"{thing.colour} {shape}" for thing in scene.things for shape in shapes}
        absent = near - names or absent
    return f"Is there a {rng.choice(sorted(there if yes else absent))}?", "yes" if yes else "no"


SEARCHES = 5


def searches(scene: Scene, rng: random.Random) -> list[str]:
    """What may be looked for: a coloured shape, a shape and any shape that are there, and two things that are not."""
    names = {thing.name for thing in scene.things}
    shapes = {thing.shape for thing in scene.things}
    near = {f"{thing.colour} {shape}" for thing in scene.things for shape in shapes} - names
    absent = near if near and rng.random() < 0.7 else {f"{one} {other}" for one in COLOURS for other in SHAPES} - names
    return [
        rng.choice(sorted(names)),
        rng.choice(sorted(shapes)),
        "shape",
        rng.choice(sorted(absent)),
        rng.choice(sorted(set(SHAPES) - shapes)),
    ]


def collective(scenes: Sequence[Scene]) -> str:
    """The caption of several pictures."""
    return "; ".join(scene.caption() for scene in scenes)


_PREFIXES = ("a photo of", "a drawing of")
_OTHERS = "a an and of the photo drawing picture image painting sketch there is are in on with this that shows".split()


def beginning(rng: random.Random, others: Sequence[str] = _OTHERS) -> str:
    """The text a caption continues: most often none, else one of the world's two, now and then some `others`."""
    chance = rng.random()
    if chance < 0.5:
        return ""
    return rng.choice(_PREFIXES) if chance < 0.9 else " ".join(rng.sample(others, rng.randint(1, 4)))
