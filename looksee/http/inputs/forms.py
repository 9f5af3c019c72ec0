"""What a route for forms takes beside its pictures: parameters, in the form or in the query, each in one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    given: dict[str, str] = {}
    names = names_of(*kinds)
    for name, value in [*query.multi_items(), *texts]:
        if name not in names:
            raise known.unknown(name, names)
        if given.setdefault(name, value) != value:
            raise known.differs(name)
    return [_record(kind, given, limits) for kind in kinds]


def _record(kind: type[BaseModel], given: Mapping[str, str], limits: Mapping[str, int]) -> BaseModel:
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
    form = {
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
