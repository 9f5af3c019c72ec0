"""The words for what a schema accepts, and where a location of pydantic's leads."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from looksee.http.dialects.openai import ChatBody
from looksee.http.error_sentences import SET_BY, Accepted, must_be


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "a text"),
        ({"type": "string", "minLength": 1}, "a text that is not empty"),
        ({"type": "string", "minLength": 2}, "a text of at least 2 characters"),
        ({"type": "string", "minLength": 1, "pattern": r"\S"}, "a text that is not blank"),
        ({"type": "string", "minLength": 1, "maxLength": 256}, "a text of 1 to 256 characters"),
        ({"type": "string", "maxLength": 4}, "a text of at most 4 characters"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "integer"}, "a whole number"),
        ({"type": "integer", "minimum": 1, "maximum": 150}, "a whole number from 1 to 150"),
        ({"type": "integer", "minimum": 1}, "a whole number of at least 1"),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 5}, "a whole number from 1 to 4"),
        ({"type": "number", "minimum": 0, "maximum": 2.0}, "a number from 0 to 2"),
        ({"type": "number", "exclusiveMinimum": 0.0, "maximum": 1}, "a number above 0 and at most 1"),
        ({"type": "number", "maximum": 0.5}, "a number of at most 0.5"),
        ({"type": "number", "exclusiveMaximum": 3}, "a number below 3"),
        ({"enum": ["a", "b"]}, "one of: a, b"),
        ({"enum": ["a", None]}, "one of: a"),
        ({"const": "a"}, "a"),
        ({"enum": [True, 5]}, "one of: true, 5"),
        ({"type": "array", "items": {"type": "string"}}, "a list of texts"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 4}, "a list of at most 4 texts"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, "a list of 1 or more texts"),
        ({"type": "array", "items": {}, "minItems": 1, "maxItems": 3}, "a list of 1 to 3 values"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}, "a list of 2 numbers"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "a list of any of: a, b"),
        ({"type": "object"}, "an object"),
        ({"type": "object", "required": ["url"]}, "an object with 'url'"),
        ({"type": "object", "required": ["a", "b", "c"]}, "an object with 'a', 'b' and 'c'"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "an object of whole numbers"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "minimum": 1, "maximum": 9}, "a whole number from 1 to 9"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "a text or a whole number"),
        ({}, "a value"),
    ],
)
def test_what_a_schema_accepts_in_words(schema: dict[str, Any], words: str) -> None:
    assert Accepted().words(schema) == words


def test_a_picture_is_told_as_one() -> None:
    assert must_be("image", {"type": "string", "format": "picture"}).startswith("'image' must be a picture as a text (")


def test_a_limit_of_the_operators_has_its_number_and_its_variable() -> None:
    schema = {"type": "integer", "minimum": 1, "maximum": 10, SET_BY: "LOOKSEE_MAX_IT"}
    assert must_be("it", schema) == "'it' must be a whole number from 1 to 10; LOOKSEE_MAX_IT raises the limit."
    assert must_be("it", schema, {"LOOKSEE_MAX_IT": 3}).startswith("'it' must be a whole number from 1 to 3; ")
    union = {**{name: value for name, value in schema.items() if name != "type"}, "anyOf": [{"type": "integer"}]}
    assert must_be("it", union, {"LOOKSEE_MAX_IT": 3}).startswith("'it' must be a whole number from 1 to 3; ")


class Leaf(BaseModel):
    kind: Literal["oak", "elm"]


class Tree(BaseModel):
    age: int | str | None = None
    leaves: list[Leaf] = []
    names: dict[str, Annotated[str, Field(min_length=1)]] = {}
    more: str | list[Leaf] = ""


@pytest.mark.parametrize(
    ("given", "param", "sentence"),
    [
        ({"age": []}, "age", "'age' must be a whole number or a text."),
        ({"leaves": [{"kind": "oak"}, {"kind": "ash"}]}, "leaves.1.kind", "'leaves.1.kind' must be one of: oak, elm."),
        ({"leaves": ["oak"]}, "leaves.0", "'leaves.0' must be an object with 'kind'."),
        ({"names": {"a": ""}}, "names.a", "'names.a' must be a text that is not empty."),
        ({"names": []}, "names", "'names' must be an object of texts that are not empty."),
        ({"more": 5}, "more", "'more' must be a text or a list of objects with 'kind'."),
        ({"more": [{"kind": 5}]}, "more.0.kind", "'more.0.kind' must be one of: oak, elm."),
    ],
)
def test_where_a_problem_is_and_what_is_accepted_there(given: dict[str, Any], param: str, sentence: str) -> None:
    """Of a union pydantic names the branches that it tried; the caller knows none of them."""
    accepted = Accepted.of(Tree)
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(given, strict=True)
    found = [accepted.at(problem["loc"]) for problem in caught.value.errors()]
    place, schema = max(found, key=lambda one: len(one[0]))
    assert (place, accepted.sentence(place, schema)) == (param, sentence)


def test_parts_of_a_message_are_found_below_a_union() -> None:
    accepted = Accepted.of(ChatBody)
    place, schema = accepted.at(("messages", 2, "content", 1, "image_url", "detail"))
    assert place == "messages.2.content.1.image_url.detail"
    assert accepted.words(schema) == "one of: auto, low, high, original"
