"""Fields of an answer in JSON about a scene: how programs name and describe them, and the right values.

A field is known by its name and its type: `caption`, `count`, `color`, `shapes`, `objects`, `has_red_circle`. A name
that says nothing of the picture (`answer`, `result`) stands for the answer to what was asked. Of several things a
single `color` or `shape` is that of the thing which was asked for, else of the leftmost; lists are from left to right.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from samples.world import exercises, wordings
from samples.world.scenes import COLOURS, NUMBERS, SHAPES, Scene, Thing

STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
YES_NO = ("yes", "no")

CAPTION_NAMES = ("caption", "description", "summary", "alt_text", "text")
COUNT_NAMES = ("count", "number_of_shapes", "number", "number_of_objects", "total", "shape_count", "how_many")
COLOUR_NAMES = ("color", "colour")
ANSWER_NAMES = ("answer", "response", "result", "value", "output")
LIST_NAMES = ("tags", "labels", "objects", "keywords", "things", "items")
OBJECT_NAMES = ("objects", "shapes", "things", "items")
_FLAG_NAMES = ("has_{}", "is_there_a_{}", "contains_{}", "{}", "{}_present")
_FLAG_WORDS = ("present", "found", "exists", "match")  # what they are about is in their description


@dataclass(frozen=True)
class Field:
    """A field, its schema without title and description, its right value, and what may describe it."""

    name: str
    schema: dict[str, Any]
    value: Any
    about: str


@dataclass(frozen=True)
class Asked:
    """A scene, and the question about it with its answer; without a question it is to be described."""

    scene: Scene
    question: str = ""
    answer: str = ""

    @property
    def subject(self) -> Thing:
        """The thing that the question is about, else the leftmost."""
        found = re.match(r"What (?:color is the|shape is) (\w+)\?", self.question)
        for thing in self.scene.things:
            if found and found[1] in (thing.colour, thing.shape):
                return thing
        return self.scene.things[0]


def some(asked: Asked, rng: random.Random, *, typed: bool = True) -> list[Field]:
    """One to four fields in any order; without types (`typed`) each has the type that its name suggests."""
    weights = _WITH_QUESTION if asked.question else _DESCRIBING
    found: dict[str, Field] = {}
    for _ in range(rng.choices((1, 2, 3, 4), weights=(4, 4, 2, 1))[0]):
        (make,) = rng.choices(list(weights), weights=list(weights.values()))
        field = make(asked, rng)
        if not typed and not _natural(field):
            continue
        found.setdefault(field.name, field)
    if not found:
        return some(asked, rng, typed=typed)
    camel = rng.random() < 0.15
    return [Field(_camel(one.name), one.schema, one.value, one.about) if camel else one for one in found.values()]


def _natural(field: Field) -> bool:
    """Whether its name alone tells its type."""
    kind, name = field.schema["type"], field.name
    if kind == "array" and field.schema["items"]["type"] == "object":
        return name in ("objects", "things", "items") and [*field.schema["items"]["properties"]] == ["color", "shape"]
    if kind == "array":
        return name not in ("objects", "things", "items")
    if name in COUNT_NAMES:
        return bool(kind == "integer")
    if name in ANSWER_NAMES:
        return bool(kind == "string")
    return kind != "object" and name not in _FLAG_WORDS


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


def _named(names: tuple[str, ...], rng: random.Random) -> str:
    """Most often the first."""
    return rng.choice((names[0], rng.choice(names)))


def _caption(asked: Asked, rng: random.Random) -> Field:
    about = rng.choice(("What is in the picture", "A caption of the picture.", "one sentence", "Describe the image"))
    return Field(_named(CAPTION_NAMES, rng), STRING, asked.scene.caption(), about)


def _count(asked: Asked, rng: random.Random) -> Field:
    about = rng.choice(("How many shapes are there?", "How many shapes there are", "number of objects in the image"))
    count = len(asked.scene.things)
    chance = rng.random()
    if chance < 0.1:
        return Field(_named(COUNT_NAMES, rng), STRING, NUMBERS[count - 1], about)
    schema = INTEGER if chance < 0.8 else rng.choice(_NUMBERS)
    return Field(_named(COUNT_NAMES, rng), schema, count, about)


_NUMBERS: tuple[dict[str, Any], ...] = (
    {"type": "number"},
    {"type": "integer", "minimum": 0},
    {"type": "integer", "minimum": 0, "maximum": 10},
    {"type": "integer", "exclusiveMinimum": 0},
    {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991},
)


def _colour(asked: Asked, rng: random.Random) -> Field:
    about = rng.choice(("The color of the shape", "its colour", "What color it is"))
    return Field(_named(COLOUR_NAMES, rng), _one_of(tuple(COLOURS), rng), asked.subject.colour, about)


def _shape(asked: Asked, rng: random.Random) -> Field:
    about = rng.choice(("What shape it is", "the shape", "The kind of shape"))
    return Field("shape", _one_of(SHAPES, rng), asked.subject.shape, about)


def _one_of(words: tuple[str, ...], rng: random.Random) -> dict[str, Any]:
    """A text, or a list of choices in any order."""
    return STRING if rng.random() < 0.7 else {"type": "string", "enum": rng.sample(words, len(words))}


def _list(asked: Asked, rng: random.Random) -> Field:
    things = asked.scene.things
    chance = rng.random()
    if chance < 0.3:
        name, words, values = f"{_named(COLOUR_NAMES, rng)}s", tuple(COLOURS), [thing.colour for thing in things]
    elif chance < 0.6:
        name, words, values = "shapes", SHAPES, [thing.shape for thing in things]
    else:
        return Field(_named(LIST_NAMES, rng), _array(STRING), [thing.name for thing in things], "what is there")
    return Field(name, _array(_one_of(words, rng)), values, f"All {name} from left to right")


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _objects(asked: Asked, rng: random.Random) -> Field:
    """A list of things, each with a few members."""
    schema, members = _members(rng)
    values = [{name: value(thing) for name, value in members.items()} for thing in asked.scene.things]
    return Field(_named(OBJECT_NAMES, rng), _array(schema), values, "All objects from left to right")


def _subject(asked: Asked, rng: random.Random) -> Field:
    """One thing with a few members."""
    schema, members = _members(rng)
    value = {name: value(asked.subject) for name, value in members.items()}
    return Field(rng.choice(("object", "thing", "item")), schema, value, "The object")


def _members(rng: random.Random) -> tuple[dict[str, Any], dict[str, Callable[[Thing], str]]]:
    colour, shape = _named(COLOUR_NAMES, rng), rng.choice(("shape", "shape", "shape", "type", "kind"))
    chance = rng.random()
    if chance < 0.75:
        names = [colour, shape] if rng.random() < 0.5 else [shape, colour]
    else:
        names = rng.choice(([rng.choice(("name", "label"))], ["name", colour], ["name", colour, shape]))
    of: dict[str, Callable[[Thing], str]] = {
        colour: lambda thing: thing.colour,
        shape: lambda thing: thing.shape,
        "name": lambda thing: thing.name,
        "label": lambda thing: thing.name,
    }
    words = {colour: tuple(COLOURS), shape: SHAPES}
    properties = {name: _one_of(words[name], rng) if name in words else STRING for name in names}
    schema = {"type": "object", "properties": properties, "required": names}
    return schema, {name: of[name] for name in names}


def _flag(asked: Asked, rng: random.Random) -> Field:
    question, answer = asked.question, asked.answer
    if answer not in YES_NO or rng.random() < 0.3:
        question, answer = exercises.is_there(asked.scene, rng)
    what = question.removeprefix("Is there a ").removesuffix("?").replace(" ", "_")
    name = rng.choice((*_FLAG_NAMES, *_FLAG_NAMES, rng.choice(_FLAG_WORDS))).format(what)
    return Field(name, BOOLEAN, answer == "yes", question)


def _answer(asked: Asked, rng: random.Random) -> Field:
    """What was asked for, under a name of no meaning; yes, no and numbers may be JSON's own."""
    name = _named(ANSWER_NAMES, rng) if rng.random() < 0.85 else wordings.any_word(rng)
    about = rng.choice(("The answer", "the answer to the question"))
    if not asked.question:
        return Field(name, STRING, asked.scene.caption(), about)
    if asked.answer in YES_NO and rng.random() < 0.5:
        return Field(name, BOOLEAN, asked.answer == "yes", about)
    if asked.answer in NUMBERS and rng.random() < 0.5:
        return Field(name, INTEGER, NUMBERS.index(asked.answer) + 1, about)
    for words in (tuple(COLOURS), SHAPES, NUMBERS, YES_NO):
        if asked.answer in words:
            return Field(name, _one_of(words, rng), asked.answer, about)
    raise ValueError(f"an answer of no kind: {asked.answer}")


_DESCRIBING = {
    _caption: 4,
    _count: 3,
    _colour: 1,
    _shape: 1,
    _list: 3,
    _objects: 4,
    _subject: 0.5,
    _flag: 2,
    _answer: 1,
}
_WITH_QUESTION = {**_DESCRIBING, _caption: 1, _count: 1, _list: 1, _objects: 1, _flag: 3, _answer: 6}
