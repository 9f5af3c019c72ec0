"""Schemas made by a seed: of all that programs write, from one member to lists of objects in objects."""

from __future__ import annotations

from random import Random
from typing import Any

_NAMES = ("colour", "shape", "count", "size", "left", "tags", "größe", "a b", 'q"uote', "x_1")
_WORDS = ("red", "dark blue", "naïve", "1", "", "line\nend", "\\", "日本", "/")
_PATTERNS = ("^[a-z]{2,5}$", "^(red|blue)$", r"^\d{3}-\d{2}$", "^#[0-9a-f]{6}$", "o", "^(a+)+$")
_FORMATS = ("date", "time", "uuid", "ipv4", "email", "hostname")


def schema(seed: int) -> dict[str, Any]:
    """The schema of that seed; every fourth is recursive or refers to a part of itself."""
    random = Random(seed)
    made = _any(random, 3)
    if seed % 4:
        return made
    node: dict[str, Any] = {
        "type": "object",
        "properties": {"of": made, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
        "required": ["next"],
        "additionalProperties": False,
    }
    return {"$ref": "#/$defs/node", "$defs": {"node": node}}


def _any(random: Random, depth: int) -> dict[str, Any]:
    kinds = [_string, _integer, _number, _plain, _enum]
    nested = [_object, _object, _object, _array, _any_of]
    return random.choice(kinds + nested * 2 if depth else kinds)(random, depth)


def _string(random: Random, depth: int) -> dict[str, Any]:
    rule = random.randrange(4)
    if rule == 0:
        return {"type": "string", "pattern": random.choice(_PATTERNS)}
    if rule == 1:
        return {"type": "string", "format": random.choice(_FORMATS)}
    least = random.randrange(4)
    return {"type": "string", "minLength": least, "maxLength": least + random.randrange(12)} if rule == 2 else _text()


def _text() -> dict[str, Any]:
    return {"type": "string"}


def _integer(random: Random, depth: int) -> dict[str, Any]:
    least = random.randrange(-200, 200)
    bounds: dict[str, Any] = {"minimum": least, "maximum": least + random.randrange(3, 300)}
    more = random.choice([{}, bounds, {"exclusiveMinimum": least}, {**bounds, "multipleOf": 2}])
    return {"type": "integer", **more}


def _number(random: Random, depth: int) -> dict[str, Any]:
    bounds = {"minimum": random.choice([0, -1.5, 0.25]), "maximum": random.choice([1, 7.5, 100])}
    return {"type": "number", **random.choice([{}, bounds])}


def _plain(random: Random, depth: int) -> dict[str, Any]:
    return {"type": random.choice(["boolean", "null", ["string", "null"], ["integer", "boolean"]])}


def _enum(random: Random, depth: int) -> dict[str, Any]:
    if random.random() < 0.2:
        return {"const": random.choice([None, True, 3, 2.5, "red", {"a": [1, None]}])}
    return {"enum": random.sample([*_WORDS, 1, 2, True, None], random.randrange(1, 6))}


def _object(random: Random, depth: int) -> dict[str, Any]:
    names = random.sample(_NAMES, random.randrange(5))
    made: dict[str, Any] = {
        "type": "object",
        "properties": {name: _any(random, depth - 1) for name in names},
        "required": [name for name in names if random.random() < 0.7],
    }
    more = random.randrange(3)
    if more == 0:
        return made
    return {**made, "additionalProperties": False if more == 1 else _any(random, 0)}


def _array(random: Random, depth: int) -> dict[str, Any]:
    least = random.randrange(3)
    made: dict[str, Any] = {"type": "array", "items": _any(random, depth - 1)}
    if random.random() < 0.7:
        made |= {"minItems": least, "maxItems": least + random.randrange(5)}
    if random.random() < 0.2:
        made["prefixItems"] = [_any(random, 0)]
    return made


def _any_of(random: Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [_any(random, depth - 1) for _ in range(random.randrange(2, 4))]}
