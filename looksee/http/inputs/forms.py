"""What a route for forms takes beside its pictures: parameters, in the form or in the query, each in one record."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams, UploadFile

from looksee.core import errors
from looksee.http import error_responses
from looksee.http.inputs import known
from looksee.http.inputs.multipart import PICTURE_FIELDS, FormPart, is_picture_field

Texts = list[tuple[str, str]]


def split(parts: Sequence[FormPart], names: Sequence[str]) -> tuple[list[FormPart], Texts]:
    """The pictures, and the texts by their names, of a form whose parameters are `names`.

    Raises UnsupportedParameter for any other name, and InvalidValue for a file where a text belongs.
    """
    pictures = [part for part in parts if is_picture_field(part.name)]
    texts: Texts = []
    for part in parts:
        if is_picture_field(part.name):
            continue
        _check_name(part.name, names, is_file=isinstance(part.value, UploadFile))
        texts.append((part.name, str(part.value)))
    return pictures, texts


def _check_name(name: str, names: Sequence[str], *, is_file: bool) -> None:
    if name not in names and is_file:
        fields = ", ".join(PICTURE_FIELDS)
        raise errors.UnsupportedParameter(
            f"The form has a file in '{name[:80]}'; a picture's field is one of: {fields}.", param=name[:80]
        )
    if name not in names:
        raise known.unknown(name, [*names, *PICTURE_FIELDS])
    if is_file:
        raise errors.InvalidValue(f"'{name}' must be a text, not a file.", param=name)


def read(kinds: Sequence[type[BaseModel]], query: QueryParams, texts: Texts, limits: Mapping[str, int]) -> list[Any]:
    """A record of each of `kinds`, whose fields are in the query or in the form: an empty text of a form is as none.

    `limits` are the operator's, by variable, for the words of errors.

    Raises UnsupportedParameter, InvalidRequest for two different values of one parameter, and InvalidValue.
    """
    given: dict[str, str | list[str]] = {}
    names = names_of(*kinds)
    for place in (query.multi_items(), texts):
        found = _of_place(place, names, _lists(kinds))
        for name, value in found.items():
            if given.setdefault(name, value) != value:
                raise known.differs(name)
    return [_record(kind, given, limits) for kind in kinds]


def _of_place(pairs: Texts, names: Collection[str], lists: Collection[str]) -> dict[str, str | list[str]]:
    """What the query or the form says; of a list each element is a field of its own."""
    found: dict[str, str | list[str]] = {}
    for name, value in pairs:
        if name not in names:
            raise known.unknown(name, names)
        if name in lists:
            found[name] = [*found.get(name, ()), value]
        elif found.setdefault(name, value) != value:
            raise known.differs(name)
    return found


def _lists(kinds: Sequence[type[BaseModel]]) -> frozenset[str]:
    """The names of the parameters that are lists."""
    return frozenset().union(*map(_lists_of, kinds))


@functools.cache
def _lists_of(kind: type[BaseModel]) -> frozenset[str]:
    described = kind.model_json_schema().get("properties", {})
    return frozenset(
        name
        for name, schema in described.items()
        if any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))
    )


def _record(kind: type[BaseModel], given: Mapping[str, str | list[str]], limits: Mapping[str, int]) -> BaseModel:
    try:
        return kind.model_validate({name: given[name] for name in kind.model_fields if name in given})
    except ValidationError as error:
        raise error_responses.of_model(error, kind, limits) from error


def names_of(*kinds: type[BaseModel]) -> list[str]:
    """The parameters' names."""
    return [name for kind in kinds for name in kind.model_fields]


def described(field: str, schema: dict[str, Any], fields: type[BaseModel] | None) -> dict[str, Any]:
    """A form for the document: its pictures in `field`, described by `schema`, and `fields`."""
    own = fields.model_json_schema() if fields is not None else {}
    for one in own.get("properties", {}).values():  # a form has no null: what is not given is left out
        for kind in one.pop("anyOf", []):
            one |= kind if kind["type"] != "null" else {}
        if one.get("default", "") is None:
            del one["default"]
        if one.get("type") == "array":  # an empty text is as not given, so no number can be said
            del one["minItems"], one["maxItems"]
            one["items"] = {"type": one["items"]["type"]}
    form = {
        **{name: own[name] for name in ("oneOf",) if name in own},
        "type": "object",
        "required": [field, *own.get("required", ())],
        "properties": {field: schema, **own.get("properties", {})},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def query_described(kind: type[BaseModel] | None) -> dict[str, Any]:
    """Query parameters for the document."""
    if kind is None:
        return {}
    properties = kind.model_json_schema()["properties"]
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": schema["description"], "schema": schema}
            for name, schema in properties.items()
        ]
    }
