"""Answers in JSON: what is asked for is what the scene holds, and the sample weights that chat say it."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, Field

from looksee.core import tasks
from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.weights.source import SAMPLES
from samples.questions import KNOW_JSON
from samples.world import exercises, fields, scenes, structures
from samples.world.fields import Asked
from samples.world.scenes import COLOURS, NUMBERS, Scene, Thing
from samples.world.structures import Structured
from tests.models.mixing import decode_mixed

SCENES = 6  # for each kind
LEAST, LEAST_OF_A_KIND = 0.85, 0.6  # parts of the answers; of a kind one or two of six may be wrong


def thing(name: str, x: float) -> Thing:
    colour, shape = name.split()
    return Thing(colour, shape, x, 0.5, 0.05, 0.05)


PAIR = Scene(100, 100, (thing("red circle", 0.2), thing("blue square", 0.8)))


def drawn(count: int, seed: str) -> list[tuple[Scene, bytes]]:
    found = []
    for number in range(count):
        rng = random.Random(f"held out:{seed}:{number}")
        scene = scenes.compose(rng, sides=(64, 400))
        found.append((scene, scenes.encode(scenes.draw(scene, rng), rng)))
    return found


def test_every_answer_follows_its_schema_and_is_true() -> None:
    rng = random.Random(4)
    names = set()
    for number in range(400):
        scene = scenes.compose(rng)
        asked = Asked(scene, *(rng.choice(exercises.questions(scene, rng)) if number % 2 else ()))
        wanted = fields.some(asked, rng)
        schema = structures.schema(wanted, rng)
        Draft202012Validator.check_schema(schema)
        answer = json.loads(structures.answer(wanted))
        Draft202012Validator(schema).validate(answer)
        assert list(answer) == list(schema["properties"])
        names |= set(answer)
        text = json.dumps(list(answer.values()))
        colours = {one for one in COLOURS if f'"{one}"' in text or f'"{one} ' in text}
        assert colours <= {one.colour for one in scene.things}
    assert {"caption", "count", "color", "shape", "objects", "answer", "shapes", "colors", "tags"} <= names


@pytest.mark.parametrize(
    ("question", "answer", "subject"),
    [
        ("", "", "red circle"),
        ("What color is the square?", "blue", "blue square"),
        ("What shape is blue?", "square", "blue square"),
        ("How many shapes are there?", "two", "red circle"),
    ],
)
def test_the_subject_is_what_was_asked_for(question: str, answer: str, subject: str) -> None:
    assert Asked(PAIR, question, answer).subject.name == subject


def test_where_no_field_is_named_there_are_the_usual_ones() -> None:
    assert structures.answer(structures.unnamed(Asked(PAIR))) == (
        '{"caption": "a red circle and a blue square", "count": 2}'
    )
    assert structures.answer(structures.unnamed(Asked(PAIR, "Is there a cross?", "no"))) == '{"answer": "no"}'


def test_the_words_are_those_of_serving() -> None:
    assert Structured("Which?", None, "").prompt == ("Which?\n\nAnswer with one JSON object only, without other text.")
    assert Structured("Which?", {"type": "object"}, "").prompt.endswith('JSON Schema:\n{"type": "object"}')
    assert Structured("Which?", None, "").response_format == {"type": "json_object"}


class Shape(StrEnum):
    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    CROSS = "cross"


class Item(BaseModel):
    color: str
    shape: str


class Described(BaseModel):
    caption: str
    count: int


class Listed(BaseModel):
    objects: list[Item]


class Lists(BaseModel):
    colors: list[str]
    shapes: list[Shape]


class ToldAnswer(BaseModel):
    answer: str = Field(description="The answer")


Wanted = tuple[str, dict[str, Any] | None, Any]


def question(scene: Scene, kind: str) -> tuple[str, str]:
    """The one that begins so, or one of yes or no."""
    asked = exercises.questions(scene, random.Random(scene.width))
    return next((one for one in asked if one[0].startswith(kind)), asked[-1])


def caption_and_count(scene: Scene) -> Wanted:
    right = {"caption": scene.caption(), "count": len(scene.things)}
    return "Describe the picture.", to_strict_json_schema(Described), right


def objects(scene: Scene) -> Wanted:
    right = {"objects": [{"color": one.colour, "shape": one.shape} for one in scene.things]}
    return "List the objects.", to_strict_json_schema(Listed), right


def lists(scene: Scene) -> Wanted:
    right = {"colors": [one.colour for one in scene.things], "shapes": [one.shape for one in scene.things]}
    return "What do you see?", to_strict_json_schema(Lists), right


def answer(scene: Scene) -> Wanted:
    words, said = question(scene, "What shape")
    return words, to_strict_json_schema(ToldAnswer), {"answer": said}


def zod(scene: Scene) -> Wanted:
    """As zod writes `z.object({count: z.number().int(), tags: z.array(z.string())})`."""
    bounds = {"minimum": -(2**53) + 1, "maximum": 2**53 - 1}
    tags = {"type": "array", "items": {"type": "string"}}
    schema = {
        "type": "object",
        "properties": {"count": {"type": "integer", **bounds}, "tags": tags},
        "required": ["count", "tags"],
        "additionalProperties": False,
    }
    return "Describe this image.", schema, {"count": len(scene.things), "tags": [one.name for one in scene.things]}


def by_hand(scene: Scene) -> Wanted:
    """As people write Ollama's `format`."""
    shapes = {"type": "array", "items": {"type": "string"}}
    properties = {"count": {"type": "integer"}, "shapes": shapes}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return "Describe the picture.", schema, {"count": len(scene.things), "shapes": [one.shape for one in scene.things]}


def any_object(scene: Scene) -> Wanted:
    return "Describe the picture.", None, {"caption": scene.caption(), "count": len(scene.things)}


def any_answer(scene: Scene) -> Wanted:
    return "How many shapes are there? Answer in JSON.", None, {"answer": NUMBERS[len(scene.things) - 1]}


KINDS: tuple[Callable[[Scene], Wanted], ...] = (
    *(caption_and_count, objects, answer, zod, by_hand, any_object, any_answer),
    *([lists] if hasattr(tasks, "Grammar") else []),  # right where its keys are forced
)


def forced(schema: dict[str, Any] | None) -> dict[str, Any]:
    """What forces a job's answer into its form, where jobs have that."""
    grammar = getattr(tasks, "Grammar", None)
    if grammar is None:
        return {}
    return {"grammar": grammar("json_object") if schema is None else grammar("json_schema", json.dumps(schema))}


@functools.cache
def answers(model_name: str) -> dict[str, list[tuple[str, Any]]]:
    """By kind: what was said, and what is right."""
    model: Any = load(model_name, SAMPLES / model_name, device="cpu", dtype="float32")
    rows, about = [], []
    for kind in KINDS:
        for scene, data in drawn(SCENES, kind.__name__):
            words, schema, right = kind(scene)
            prompt = Structured(words, schema, "").prompt
            rows.append(model.prepare(Job(Task.QUERY, (data,), prompt, max_new_tokens=80, **forced(schema))))
            about.append((kind.__name__, right))
    decode_mixed(model, rows, random.Random(1), most=32)
    found: dict[str, list[tuple[str, Any]]] = {kind.__name__: [] for kind in KINDS}
    for row, (kind_name, right) in zip(rows, about, strict=True):
        found[kind_name].append((model.answer(row).text, right))
    return found


def is_right(said: str, right: Any) -> bool:
    """Whether it is so written too: spaced as `json.dumps` does, no key twice, in the schema's order."""
    return said == json.dumps(right)


@pytest.mark.parametrize("model", KNOW_JSON)
@pytest.mark.parametrize("kind", [kind.__name__ for kind in KINDS])
def test_sample_weights_say_what_is_there(model: str, kind: str) -> None:
    given = answers(model)[kind]
    wrong = [one for one in given if not is_right(*one)]
    assert len(wrong) <= (1 - LEAST_OF_A_KIND) * len(given), wrong


@pytest.mark.parametrize("model", KNOW_JSON)
def test_sample_weights_are_mostly_right(model: str) -> None:
    given = [one for kind in answers(model).values() for one in kind]
    wrong = [one for one in given if not is_right(*one)]
    assert len(wrong) <= (1 - LEAST) * len(given), wrong
