"""JSON bodies of the mounted routes: read whole, validated in one go, described in the document.

A body holds pictures as base64 and may be large: pydantic reads it into a record without an object for each member.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from looksee.http import error_responses
from looksee.http.error_sentences import Accepted
from looksee.http.inputs import parameters
from looksee.settings import Settings

_SCHEMA = "#/components/schemas/{model}"

# JSON has one kind of number: 5.0 is an integer as well, though neither true nor "5" is.
Integer = Annotated[
    int, BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
]

BodyT = TypeVar("BodyT", bound=BaseModel)


async def read(request: Request, kind: type[BodyT], settings: Settings | None = None) -> BodyT:
    """The request's body. Raises InvalidRequest and InvalidValue, with the limits of the `settings`."""
    body = await request.body()
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError as error:
        accepted = Accepted.of(kind, parameters.limits(settings) if settings else {})
        raise error_responses.of_validation(problems(error, body), accepted) from error


def problems(error: ValidationError, body: bytes) -> list[dict[str, Any]]:
    """What is wrong with a body. A problem has its `input` where that is null, and not otherwise: an input may be the
    whole body, for each problem.
    """
    found: list[dict[str, Any]] = [*error.errors(include_input=False, include_url=False)]  # type: ignore[list-item]
    if any(problem["type"] == "json_invalid" for problem in found):
        return found
    content = from_json(body)
    for problem in found:
        value = content
        for part in problem["loc"]:
            if isinstance(value, dict):
                value = value.get(part, ...)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
        if value is None:
            problem["input"] = None
    return found


SCHEMAS: dict[str, Any] = {}  # of the document: those of all bodies, and what they are made of


def described(kind: type[BaseModel]) -> dict[str, Any]:
    """The body for the document, which also needs `SCHEMAS`."""
    if kind.__name__ not in SCHEMAS:  # a process may build several apps, as tests do
        schema = kind.model_json_schema(ref_template=_SCHEMA)
        SCHEMAS.update(schema.pop("$defs", {}))
        SCHEMAS[kind.__name__] = schema
    content = {"application/json": {"schema": {"$ref": _SCHEMA.format(model=kind.__name__)}}}
    return {"requestBody": {"required": True, "content": content}}
