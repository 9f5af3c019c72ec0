"""Questions about scenes whose answer is JSON: in the words of serving, with schemas as programs write them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from looksee.models.registry import prompts
from samples.world import exercises, fields, wordings
from samples.world.fields import Asked, Field
from samples.world.scenes import Scene

STRUCTURED = "in JSON"  # beside the tasks of serving: a question whose answer is JSON

DESCRIBING = (
    "Describe the picture.",
    "Describe this image.",
    "What do you see?",
    "What is in this picture?",
    "Extract what is there.",
    "Analyze the image",
    "List the objects.",
    "Fill in the fields",
    "What is there?",
    "List the shapes.",
    "Describe what you see.",
    "Extract the data.",
    prompts.CAPTION,  # as a picture without words is asked about
)
_CLASSES = ("Answer", "Scene", "Picture", "Result", "Output", "Response", "Description", "Caption", "Image")
_PARTS = ("Thing", "Shape", "Object", "Item")
_NAMES_ASKED = (
    "Answer in JSON with the keys {}.",
    "Return JSON with {}.",
    "Return a JSON object with the keys {}",
    "Reply as JSON: {}",
    "JSON with the fields {}",
)
_JSON_ASKED = ("Answer in JSON.", "Return JSON.", "Reply as JSON.", "As JSON, please.", "Output JSON only.")


@dataclass(frozen=True)
class Structured:
    """What a user asks, the schema that a program gives with it (None: any object), and the right answer, as JSON.

    The words may ask a question, to which alone this would be `said`.
    """

    words: str
    schema: dict[str, Any] | None
    answer: str
    said: str = ""

    @property
    def prompt(self) -> str:
        """The words of the user's turn, the service's own at their end."""
        written = "" if self.schema is None else json.dumps(self.schema, ensure_ascii=False)
        return f"{self.words}\n\n{prompts.in_json(written)}"

    @property
    def response_format(self) -> dict[str, Any]:
        """As OpenAI's clients send it."""
        if self.schema is None:
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": {"name": "scene", "schema": self.schema}}


def question(scene: Scene, rng: random.Random) -> Structured:
    """Three of four have a schema; half of the others name the fields."""
    asked = Asked(scene)
    if rng.random() < 0.55:
        asked = Asked(scene, *rng.choice(exercises.questions(scene, rng)))
    words = wordings.question(asked.question, rng) if asked.question else rng.choice(DESCRIBING)
    if rng.random() < 0.75:
        wanted = fields.some(asked, rng)
        return Structured(words, schema(wanted, rng), answer(wanted), asked.answer)
    if rng.random() < 0.5:
        wanted = fields.some(asked, rng, typed=False)
        names = [f'"{one.name}"' if rng.random() < 0.3 else one.name for one in wanted]
        listed = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
        return Structured(f"{words} {rng.choice(_NAMES_ASKED).format(listed)}", None, answer(wanted), asked.answer)
    if rng.random() < 0.5:
        words = f"{words} {rng.choice(_JSON_ASKED)}"
    return Structured(words, None, answer(unnamed(asked)), asked.answer)


def unnamed(asked: Asked) -> list[Field]:
    """The fields where none is asked for: the answer, or what describes the picture."""
    if asked.question:
        return [Field("answer", fields.STRING, asked.answer, "")]
    scene = asked.scene
    return [
        Field("caption", fields.STRING, scene.caption(), ""),
        Field("count", fields.INTEGER, len(scene.things), ""),
    ]


def answer(wanted: Sequence[Field]) -> str:
    """The fields and their values as one object, spaced as `json.dumps` does it by itself."""
    return json.dumps({one.name: one.value for one in wanted})


def schema(wanted: Sequence[Field], rng: random.Random) -> dict[str, Any]:
    """A JSON Schema of these fields as pydantic makes it, as zod does, or as a person writes it."""
    chance = rng.random()
    if chance < 0.45:
        return _of_pydantic(wanted, rng)
    return _of_zod(wanted, rng) if chance < 0.75 else _by_hand(wanted, rng)


def _of_pydantic(wanted: Sequence[Field], rng: random.Random) -> dict[str, Any]:
    """Keys in order of the alphabet, titles, and classes of their own; strict as OpenAI's client makes it, or not."""
    strict = {"additionalProperties": False} if rng.random() < 0.7 else {}
    described = rng.random() < 0.3
    classes: dict[str, Any] = {}
    properties = {}
    for one in wanted:
        kind = _with_classes(one.schema, one.name, classes, strict, rng)
        if "$ref" not in kind:
            if kind == fields.STRING and rng.random() < 0.1:
                kind = {"anyOf": [kind, {"type": "null"}]}
            kind = {**kind, "title": _titled(one.name), **({"description": one.about} if described else {})}
        properties[one.name] = dict(sorted(kind.items()))
    whole = {"properties": properties, "required": [one.name for one in wanted], "title": rng.choice(_CLASSES)}
    return {**({"$defs": classes} if classes else {}), **whole, "type": "object", **strict}


def _with_classes(
    kind: dict[str, Any], name: str, classes: dict[str, Any], strict: dict[str, Any], rng: random.Random
) -> dict[str, Any]:
    """The kind with its objects, and some of its choices, as classes that are referred to."""
    if kind["type"] == "array":
        return {**kind, "items": _with_classes(kind["items"], name.removesuffix("s"), classes, strict, rng)}
    if kind["type"] == "object":
        properties = {}
        for member, part in kind["properties"].items():
            part = _with_classes(part, member, classes, strict, rng)
            part = part if "$ref" in part else {**part, "title": _titled(member)}
            properties[member] = dict(sorted(part.items()))
        title = rng.choice([part for part in _PARTS if part not in classes])
        found = {**kind, "properties": properties, "title": title}
    elif "enum" in kind and (title := _titled(name).replace(" ", "")) not in classes and rng.random() < 0.5:
        found = {**kind, "title": title}
    else:
        return kind
    classes[title] = {**dict(sorted(found.items())), **(strict if "properties" in found else {})}
    return {"$ref": f"#/$defs/{title}"}


def _titled(name: str) -> str:
    return name.replace("_", " ").title()


def _of_zod(wanted: Sequence[Field], rng: random.Random) -> dict[str, Any]:
    """Objects in their places, each closed to further members."""
    described = rng.random() < 0.3
    parts = [
        Field(one.name, {**_closed(one.schema), **({"description": one.about} if described else {})}, None, "")
        for one in wanted
    ]
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"} if rng.random() < 0.05 else {}
    return {**_object(parts), "additionalProperties": False, **draft}


def _closed(kind: dict[str, Any]) -> dict[str, Any]:
    if kind["type"] == "array":
        return {**kind, "items": _closed(kind["items"])}
    return {**kind, "additionalProperties": False} if kind["type"] == "object" else kind


def _by_hand(wanted: Sequence[Field], rng: random.Random) -> dict[str, Any]:
    """Often without what is not needed."""
    described = rng.random() < 0.2
    parts = [
        Field(one.name, {**one.schema, **({"description": one.about} if described else {})}, None, "") for one in wanted
    ]
    found = _object(parts)
    if rng.random() < 0.3:
        del found["required"]
    return found


def _object(parts: Sequence[Field]) -> dict[str, Any]:
    properties = {one.name: one.schema for one in parts}
    return {"type": "object", "properties": properties, "required": list(properties)}
