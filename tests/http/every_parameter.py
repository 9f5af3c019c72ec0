"""Requests with one wrong value each, for every parameter of every route of the document: made from the schemas."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from looksee.models.registry import ALIASES
from tests.support.files import plain

Place = tuple[str | int, ...]
Schema = Mapping[str, Any]

OF_TYPES: dict[str, Any] = {"string": "?", "integer": 5, "number": 0.5, "boolean": True, "array": [], "object": {}}
NOUNS = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "array": "list",
    "object": "object",
}
FAR = 10**30  # beyond any range; where the document has none it may be accepted
NO_CHOICE = "no-such-choice"
_PICTURE = f"data:image/png;base64,{base64.b64encode(plain()).decode()}"
# Requests in which further members mean something, by path.
_TOOL = {"type": "function", "function": {"name": "f"}}
_ASKED = {"role": "user", "content": "Who?"}
MORE: dict[str, Any] = {
    "/v1/chat/completions": (
        {"model": "gemma", "messages": [_ASKED], "tools": [_TOOL], "tool_choice": "none"},
        {"model": "gemma", "messages": [{"role": "assistant", "tool_calls": [_TOOL]}, _ASKED]},
    ),
    "/v1/responses": (
        {
            "model": "gemma",
            "input": [
                {"type": "function_call_output", "output": [{"type": "input_text", "text": "Me."}]},
                {"role": "user", "content": "Who?"},
            ],
        },
    ),
    "/v1/batch": (
        {"task": "detect", "items": [{"image": _PICTURE, "object": "circle"}]},
        {"task": "detect", "items": [{"image": _PICTURE, "objects": ["circle"]}]},
        {"task": "detect", "objects": ["circle"], "items": [{"image": _PICTURE}]},
        {"task": "query", "items": [{"image": _PICTURE, "question": "Who?"}]},
        {"task": "classify", "items": [{"image": _PICTURE, "labels": ["a", "b"]}]},
        {"task": "classify", "labels": ["a", "b"], "items": [{"image": _PICTURE}]},
        {"task": "collective", "items": [{"images": [_PICTURE]}]},
    ),
}


@dataclass(frozen=True)
class Wrong:
    """One request: what is wrong in it, and the schema that the value does not follow."""

    path: str
    method: str
    place: Place
    why: str
    schema: Schema
    options: dict[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {'.'.join(map(str, self.place))} {self.why}"

    def request(self, client: httpx.AsyncClient) -> httpx.Request:
        return client.build_request(self.method, self.path, **self.options)


class Walk:
    """All wrong requests to the routes of a document."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def __iter__(self) -> Iterator[Wrong]:
        for path, item in self._document["paths"].items():
            for method, operation in item.items():
                yield from self._operation(path, method.upper(), operation)

    def parameters(self) -> set[tuple[str, str]]:
        """The path and the name of everything at the top of a request."""
        found = set()
        for path, item in self._document["paths"].items():
            for operation in item.values():
                found |= {(path, one["name"]) for one in operation.get("parameters", ()) if one["in"] != "header"}
                for content in operation.get("requestBody", {}).get("content", {}).values():
                    found |= {(path, name) for name in self._plain(content["schema"]).get("properties", {})}
        return found

    def _operation(self, path: str, method: str, operation: Schema) -> Iterator[Wrong]:
        content = operation.get("requestBody", {}).get("content", {})
        whole: dict[str, Any] = {}  # the request without a mistake
        if "multipart/form-data" in content:
            form = self._plain(content["multipart/form-data"]["schema"])
            fields = {name: _texts(self._sample(form["properties"][name])) for name in _needed(form)}
            file = next(name for name in form["required"] if self._is_file(form["properties"][name]))
            files = [(file, ("a.png", plain()))]
            whole = {"files": files, "data": {name: value for name, value in fields.items() if name != file}}
            yield Wrong(path, method, (file,), "missing", {"type": "file"}, {"files": [(file, (None, ""))]})
            for name, value, why in self._of_texts(form["properties"]):
                options = {"files": files, "data": {**_without_others(form, name, whole["data"]), name: value}}
                yield Wrong(path, method, (name,), why, self._plain(form["properties"][name]), options)
        elif "application/json" in content:
            schema = self._plain(content["application/json"]["schema"])
            examples = [content["application/json"].get("example"), self._sample(schema)]
            examples = [one for one in examples if one is not None]
            whole = {"json": examples[0]}
            self._above: dict[Place, Any] = {}
            for place, value, why, wanted in self._of_json(schema, (), True):
                for example in (*examples, *MORE.get(path, ())):
                    yield Wrong(
                        path,
                        method,
                        place,
                        why,
                        wanted,
                        {
                            "json": self._replaced(
                                _without_others(schema, place[0] if place else "", example), place, value
                            )
                        },
                    )
        for one in operation.get("parameters", ()):
            name, schema = one["name"], self._plain(one["schema"])
            if one["in"] == "query":
                for _, value, why in self._of_texts({name: schema}):
                    yield Wrong(path, method, (name,), why, schema, {**whole, "params": {name: value}})
            elif one["in"] == "path":
                yield Wrong(
                    path.replace(f"{{{name}}}", NO_CHOICE),
                    method,
                    ("model" if name == "name" else name,),
                    "choice",
                    schema,
                    whole,
                )

    def _of_texts(self, properties: Schema) -> Iterator[tuple[str, str | list[str], str]]:
        """Wrong values of a form or a query, where all are texts, or lists of such."""
        for name, schema in properties.items():
            schema = self._plain(schema)
            if self._is_file(schema):
                continue
            if schema.get("type") in ("integer", "number", "boolean"):
                yield name, "?", "type"
            for value, why in self._beyond(schema):
                yield name, list(map(str, value)) if isinstance(value, list) else str(value), why

    def _of_json(self, schema: Schema, place: Place, needed: bool) -> Iterator[tuple[Place, Any, str, Schema]]:
        """Wrong values of JSON at a place and below it."""
        schema = self._plain(schema)
        branches = self._branches(schema)
        if {} in branches:
            branches = [branch for branch in branches if branch]  # anything may stand there
        elif place:
            kinds = {branch.get("type", "string") for branch in branches}
            kinds |= {"integer"} if "number" in kinds else set()
            for kind, value in OF_TYPES.items():
                if kind not in kinds and not (kind == "boolean" and "integer" in kinds):
                    yield place, value, f"type {kind}", schema
            if "null" not in kinds:
                yield place, None, "null", schema
            for branch in branches:
                for value, why in self._beyond(branch):
                    yield place, value, why, branch
            if needed:
                yield place, ..., "missing", schema
        for branch in branches:
            if branch.get("type") in ("object", "array"):
                self._above[place] = self._sample(branch)
            for name, inner in branch.get("properties", {}).items():
                yield from self._of_json(inner, (*place, name), name in branch.get("required", ()))
            if branch.get("type") == "array" and "items" in branch:
                yield from self._of_json(branch["items"], (*place, 0), False)

    def _plain(self, schema: Schema) -> dict[str, Any]:
        """Without a reference at its top."""
        while "$ref" in schema:
            named = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            schema = {**named, **{name: value for name, value in schema.items() if name != "$ref"}}
        return dict(schema)

    def _branches(self, schema: Schema) -> list[dict[str, Any]]:
        """The kinds of a union, each with what is beside the union."""
        beside = {name: value for name, value in schema.items() if name != "anyOf"}
        return [
            {**beside, **self._plain(branch)} if branch else {}
            for branch in schema.get("anyOf", [{"type": schema.get("type", "string")}])
        ]

    def _sample(self, schema: Schema) -> Any:
        """The least value that follows a schema."""
        branch = self._branches(self._plain(schema))[0]
        if "enum" in branch:
            return branch["enum"][-1]
        match branch["type"]:
            case "string":
                return "x"
            case "array":
                return [self._sample(branch["items"])] * max(1, branch.get("minItems", 0))
            case "object":
                return {name: self._sample(branch["properties"][name]) for name in _needed(branch)}
            case "boolean":
                return False
        return branch.get("minimum", 1)

    def _is_file(self, schema: Schema) -> bool:
        return "binary" in json.dumps(schema)

    def _beyond(self, schema: Schema) -> Iterator[tuple[Any, str]]:
        """Values out of range, and an unknown choice."""
        if "enum" in schema:
            yield NO_CHOICE, "choice"
        if schema.get("type") in ("integer", "number"):
            for value, keywords in ((-FAR, {"minimum", "exclusiveMinimum"}), (FAR, {"maximum", "exclusiveMaximum"})):
                if not keywords & schema.keys():
                    yield value, "far"
            for keyword, step in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0), ("exclusiveMaximum", 0)):
                if keyword in schema:
                    yield int(schema[keyword]) + step, keyword
        if schema.get("type") == "array" and schema.get("maxItems", 1000) < 1000:
            yield [self._sample(schema["items"])] * (schema["maxItems"] + 1), "maxItems"
        if schema.get("type") == "string" and not {"maxLength", "enum", "format"} & schema.keys():
            yield "x" * 5000, "far"
        if schema.get("type") == "string" and "maxLength" in schema:
            yield "x" * (schema["maxLength"] + 1), "maxLength"
        if schema.get("pattern") == r"\S" or schema.get("minLength"):
            yield "", "minLength"

    def _replaced(self, body: Any, place: Place, value: Any) -> Any:
        """The body with another value at a place, `...` for none, and with what has to be above it."""
        body = copy.deepcopy(body)
        found: Any = body
        for depth, part in enumerate(place[:-1], 1):
            there = found.get(part) if isinstance(found, dict) else found[part] if len(found) else None
            if not isinstance(there, dict | list):
                there = copy.deepcopy(self._above[place[:depth]])
                found[part] = there
            found = there
        if value is not ...:
            found[place[-1]] = value
        elif isinstance(found, dict):
            found.pop(place[-1], None)
        return body

    def words(self, wrong: Wrong) -> list[list[str]]:
        """What the sentence about a wrong value must have: of each list one."""
        if wrong.schema.get("type") == "file":
            return [["file"]]
        if wrong.why == "maxItems":
            return [[str(wrong.schema["maxItems"])]]
        if wrong.why == "far":
            return [[" from ", "at least", "at most", "above", "below"]]
        wanted: list[list[str]] = []
        for branch in self._branches(wrong.schema):
            if branch.get("type") == "null" or not branch:
                continue
            if "enum" in branch:
                wanted += [[str(choice)] for choice in branch["enum"] if choice not in ALIASES]
                continue
            nouns = [NOUNS[branch.get("type", "string")]]
            wanted.append([*nouns, "picture"] if branch.get("format") == "picture" else nouns)
            for keyword in ("minimum", "maximum", "minLength", "maxLength", "maxItems", "exclusiveMinimum"):
                if keyword in branch and "format" not in branch:
                    wanted.append([_number(branch[keyword]), "not empty", "not blank"])
            wanted += [[f"'{name}'"] for name in branch.get("required", ())]
        return wanted


def _needed(schema: Schema) -> list[str]:
    """The members without which a request is wrong; of choices between them the first."""
    return [*schema.get("required", ()), *(schema.get("oneOf") or [{}])[0].get("required", ())]


def _without_others(schema: Schema, name: str | int, request: Any) -> Any:
    """The request without what `name` rules out, of which there may be one only."""
    choices = [choice["required"] for choice in schema.get("oneOf", ())]
    others = {other for choice in choices if name not in choice for other in choice}
    if not any(name in choice for choice in choices):
        return request
    return {own: value for own, value in request.items() if own not in others}


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _texts(sample: Any) -> str | list[str]:
    """A field of a form; of a list two, since its document does not say how many."""
    return [f"{one}{place}" for place, one in enumerate(sample * 2)] if isinstance(sample, list) else str(sample)
