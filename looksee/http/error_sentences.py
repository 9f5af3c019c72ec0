"""Sentences about values that are not accepted: where each stands and what is accepted there.

All of them are made here, out of the JSON Schema of a body, a form or a query: the same that the document shows. A
limit that the operator sets has its variable beside it in the schema, and its number from the settings.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from looksee.models.registry import names_served

Schema = Mapping[str, Any]

LONGEST_NAME = 100  # characters of a member's name that an error quotes: callers choose those of some
SET_BY = "x-set-by"  # in a schema: the environment's variable of its upper limit

_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
_NOUNS = {
    "boolean": ("true or false", "values of true or false"),
    "null": ("null", "nulls"),
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "string": ("a text", "texts"),
    "array": ("a list", "lists"),
    "object": ("an object", "objects"),
}
_PICTURE = "base64, a data URI, the id of a kept one, or an address that LOOKSEE_IMAGE_URL_HOSTS allows"
_FORMATS = {
    "picture": (f"a picture as a text ({_PICTURE})", f"pictures as texts ({_PICTURE})"),
    "picture-or-name": (
        f"a name in the batch's 'images', or a picture as a text ({_PICTURE})",
        f"names in the batch's 'images', or pictures as texts ({_PICTURE})",
    ),
    "binary": ("a file", "files"),
}

# What pydantic's problems say of the type that was wanted, by the beginning of their own.
_TYPES = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "string": "string",
    "list": "array",
    "tuple": "array",
    "too": "array",
    "dict": "object",
    "model": "object",
}
_BOUNDS = {
    "greater_than_equal": ("number", "minimum", "ge"),
    "greater_than": ("number", "exclusiveMinimum", "gt"),
    "less_than_equal": ("number", "maximum", "le"),
    "less_than": ("number", "exclusiveMaximum", "lt"),
    "string_too_short": ("string", "minLength", "min_length"),
    "string_too_long": ("string", "maxLength", "max_length"),
    "too_short": ("array", "minItems", "min_length"),
    "too_long": ("array", "maxItems", "max_length"),
}


@dataclass(frozen=True)
class Accepted:
    """What a body, a form or a query takes: its schema, and the numbers of this service's limits by variable."""

    schema: Schema = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: type[BaseModel], limits: Mapping[str, int] | None = None) -> Accepted:
        return cls(_schema(kind), limits or {})

    def at(self, location: Sequence[str | int]) -> tuple[str, Schema]:
        """The caller's name of a place, as in `messages.0.role`, and the schema of what is accepted there.

        In a location of pydantic's may be the names of a union's branches that were tried, which no caller knows.
        """
        names: list[str] = []
        found = self._resolved(self.schema)
        for part in location:
            inner = self._inner(found, part)
            if inner is None and len(self._branches(found)) > 1:
                continue
            if inner is None:
                break
            names.append(str(part)[:LONGEST_NAME])
            found = inner
        return ".".join(names), found

    def words(self, schema: Schema, *, several: bool = False) -> str:
        """What a schema accepts as a noun, as in `a whole number from 1 to 1024`. Null is not mentioned."""
        schema = self._limited(self._resolved(schema))
        if "enum" in schema or "const" in schema:
            choices = names_served(schema.get("enum", [schema.get("const")]))
            listed = ", ".join(_written(choice) for choice in choices if choice is not None)
            return f"{'any' if several else 'one'} of: {listed}" if len(choices) > 1 else listed
        if branches := self._branches(schema):
            words = [self.words(branch, several=several) for branch in branches]
            return " or ".join(dict.fromkeys(sorted(words, key=lambda one: one.startswith("one of: "))))
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]][several]
        kind = schema.get("type", "")
        if kind not in _NOUNS:
            return "values" if several else "a value"
        return _NOUNS[kind][several] + self._qualified(kind, schema, several=several)

    def members(self, schema: Schema) -> list[str]:
        """The names that an object may have."""
        return list(self._resolved(schema).get("properties", ()))

    def sentence(self, param: str, schema: Schema, what: str = "must be") -> str:
        """The whole sentence: `'max_tokens' must be a whole number from 1 to 1024; ... raises the limit.`"""
        variable = self._set_by(schema)
        return f"'{param}' {what} {self.words(schema)}{raised(variable) if variable else ''}."

    def _qualified(self, kind: str, schema: Schema, *, several: bool) -> str:
        """What is behind the noun."""
        match kind:
            case "integer" | "number":
                return _range(schema, whole=kind == "integer")
            case "string":
                return _length(schema, "are" if several else "is")
            case "array":
                return self._items(schema)
            case "object":
                return self._object(schema)
        return ""

    def _items(self, schema: Schema) -> str:
        each = self.words(schema.get("items") or {}, several=True)
        low, high = schema.get("minItems", 0), schema.get("maxItems")
        if low == high:
            return f" of {low} {each}"
        if high is None:
            return f" of {f'{low} or more ' if low else ''}{each}"
        return f" of {low} to {high} {each}" if low else f" of at most {high} {each}"

    def _object(self, schema: Schema) -> str:
        needed = [f"'{name}'" for name in schema.get("required", ())]
        if needed:
            return " with " + " and ".join(filter(None, [", ".join(needed[:-1]), needed[-1]]))
        inner = schema.get("additionalProperties")
        if isinstance(inner, Mapping) and inner:
            high = schema.get("maxProperties")
            return f" of {f'at most {high} ' if high else ''}{self.words(inner, several=True)}"
        return ""

    def _set_by(self, schema: Schema) -> str:
        """The variable of the upper limit; empty where it is fixed or there is none."""
        schema = self._resolved(schema)
        branches = [branch.get(SET_BY, "") for branch in self._branches(schema)]
        return str(schema.get(SET_BY) or next(filter(None, branches), ""))

    def _limited(self, schema: Schema) -> Schema:
        """With this service's number of a limit that the operator sets."""
        limit = self.limits.get(schema.get(SET_BY, ""))
        if limit is None:
            return schema
        return {**schema, **{name: limit for name in _UPPER if name in schema}}

    def _resolved(self, schema: Schema) -> Schema:
        """Without a reference, and without the parts that are none of a value."""
        while "$ref" in schema:
            target: Any = self.schema
            for name in schema["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
        return schema

    def _branches(self, schema: Schema) -> list[Schema]:
        """The kinds of value of a union, with the keywords beside it; none of what is not a union."""
        beside = {
            name: value for name, value in schema.items() if name in (*_UPPER, "minimum", "format", "enum", SET_BY)
        }
        found = [self._resolved(branch) for branch in schema.get("anyOf", ())]
        return [{**beside, **branch} for branch in found if branch and branch.get("type") != "null"]

    def _inner(self, schema: Schema, part: str | int) -> Schema | None:
        """The schema of a member or an element; None where there is none."""
        for option in self._branches(schema) or [schema]:
            if isinstance(part, int):
                if option.get("type") == "array":
                    return self._resolved(option.get("items") or {})
                continue
            if part in option.get("properties", ()):
                return self._resolved(option["properties"][part])
            if isinstance(option.get("additionalProperties"), Mapping):
                return self._resolved(option["additionalProperties"])
        return None


def raised(variable: str) -> str:
    """The end of a sentence about a limit that the operator sets."""
    return f"; {variable} raises the limit"


def must_be(param: str, schema: Schema, limits: Mapping[str, int] | None = None) -> str:
    """The sentence about one parameter with a schema of its own."""
    return Accepted(limits=limits or {}).sentence(param, schema)


def from_problem(problem: Mapping[str, Any]) -> Schema:
    """What one of pydantic's problems itself says of the accepted value, where no schema is at hand."""
    kind, context = str(problem.get("type", "")), problem.get("ctx") or {}
    if kind in _BOUNDS:
        noun, keyword, name = _BOUNDS[kind]
        return {"type": noun, keyword: context[name]} if name in context else {"type": noun}
    if "expected" in context:
        return {"enum": [one.strip("'") for one in str(context["expected"]).replace(" or ", ", ").split(", ")]}
    noun = _TYPES.get(kind.partition("_")[0], "")
    return {"type": noun} if noun else {}


@functools.lru_cache(64)
def _schema(kind: type[BaseModel]) -> Schema:
    return kind.model_json_schema()


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _range(schema: Schema, *, whole: bool) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if whole:  # 1 to 4 are easier to read than above 0 and below 5
        low, above = low if above is None else above + 1, None
        high, below = high if below is None else below - 1, None
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    bounds = (("above", above), ("at least", low), ("below", below), ("at most", high))
    found = " and ".join(f"{words} {_number(bound)}" for words, bound in bounds if bound is not None)
    return f" {'of ' if found.startswith('at') else ''}{found}" if found else ""


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _length(schema: Schema, verb: str) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if high is not None:
        return f" of {low} to {high} characters" if low else f" of at most {high} characters"
    if schema.get("pattern") == r"\S":
        return f" that {verb} not blank"
    if low:
        return f" that {verb} not empty" if low == 1 else f" of at least {low} characters"
    return ""
