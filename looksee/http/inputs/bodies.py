"""JSON bodies of the mounted routes: read whole, validated in one go, described in the document.

A body holds pictures as base64 and may be large: pydantic reads it into a record without an object for each member.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError
from starlette.requests import Request

from looksee.http import error_responses

_SCHEMA = "#/components/schemas/{model}"

# JSON has one kind of number: 5.0 is an integer as well, though neither true nor "5" is.
Integer = Annotated[
    int, BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
]

BodyT = TypeVar("BodyT", bound=BaseModel)


async def read(request: Request, kind: type[BodyT]) -> BodyT:
    """The request's body. Raises InvalidRequest and InvalidValue."""
    body = await request.body()
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise error_responses.of_validation(error.errors(include_input=False, include_url=False)) from error


SCHEMAS: dict[str, Any] = {}  # of the document: those of all bodies, and what they are made of


def described(kind: type[BaseModel]) -> dict[str, Any]:
    """The body for the document, which also needs `SCHEMAS`."""
    if kind.__name__ not in SCHEMAS:  # a process may build several apps, as tests do
        schema = kind.model_json_schema(ref_template=_SCHEMA)
        SCHEMAS.update(schema.pop("$defs", {}))
        SCHEMAS[kind.__name__] = schema
    content = {"application/json": {"schema": {"$ref": _SCHEMA.format(model=kind.__name__)}}}
    return {"requestBody": {"required": True, "content": content}}
