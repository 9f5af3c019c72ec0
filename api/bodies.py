"""JSON bodies of the mounted routes: read whole, validated in one go, described in the document.

A body holds pictures as base64 and may be large: pydantic reads it into a record without an object for each member.
"""

from __future__ import annotations

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
    # What a schema refers to stands in the document's own components: `api.document` puts it there.
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
