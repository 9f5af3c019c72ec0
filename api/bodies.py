"""JSON bodies of the mounted routes: read whole, validated in one go, described in the document.

A body holds pictures as base64 and may be large: pydantic reads it into a record without an object for each member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api import shape

BodyT = TypeVar("BodyT", bound=BaseModel)


async def read(request: Request, kind: type[BodyT]) -> BodyT:
    """The request's body. Raises InvalidRequest and InvalidValue."""
    body = await request.body()
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise shape.of_validation(error.errors(include_input=False, include_url=False)) from error


def described(kind: type[BaseModel]) -> dict[str, Any]:
    """The body for the document."""
    schema = kind.model_json_schema()
    content = {"application/json": {"schema": _inlined(schema, schema.pop("$defs", {}))}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, records: Mapping[str, Any]) -> Any:
    """The schema with its `records` where it refers to them: a reference would be one into the whole document."""
    if isinstance(schema, list):
        return [_inlined(one, records) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _inlined(value, records) for name, value in schema.items() if name != "$ref"}
    if "$ref" in schema:
        found = {**_inlined(records[schema["$ref"].removeprefix("#/$defs/")], records), **found}
    return found
