"""The Moondream container API for forms: a picture as the file of a form, and beside it what JSON has as members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from looksee.core.tasks import Task
from looksee.gateway.answering import AnsweringService
from looksee.http.answers import container_schemas, error_responses
from looksee.http.answers.detections import BoxView, PointView
from looksee.http.dialects import container
from looksee.http.inputs import uploads
from looksee.http.inputs.jobs import LENGTHS, MAX_OBJECTS, MOST_OBJECTS
from looksee.http.openapi import parameters
from looksee.settings import Settings

FormT = TypeVar("FormT", bound=BaseModel)

_FILE = {"type": "string", "format": "binary", "description": "a JPEG, PNG or WebP file"}
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


def _model(task: Task) -> Any:
    return Field(container.MODEL, **parameters.model(task))


_NEW_TOKENS = Field(
    None,
    description="new tokens of the answer at most; LOOKSEE_MAX_NEW_TOKENS bounds it",
    json_schema_extra=parameters.NEW_TOKENS,
)


class CaptionForm(BaseModel):
    """The fields beside the file."""

    length: str = Field(
        "normal",
        description=f"one of: {', '.join(LENGTHS)}; models but moondream have one, normal",
        json_schema_extra={"enum": list(LENGTHS)},
    )
    model: str = _model(Task.CAPTION)
    prompt: str = Field("", description="blip, blip2: text that the caption continues; the others: an instruction")
    max_new_tokens: int | None = _NEW_TOKENS


class QueryForm(BaseModel):
    """The fields beside the file."""

    question: str = Field(examples=["What color is the square?"], json_schema_extra=parameters.WORDS)
    model: str = _model(Task.QUERY)
    max_new_tokens: int | None = _NEW_TOKENS


class FindForm(BaseModel):
    """The fields beside the file."""

    object: str = Field(
        description="what is to be found, in a word or a few", examples=["square"], json_schema_extra=parameters.WORDS
    )
    model: str = _model(Task.DETECT)
    max_objects: int | None = Field(
        None,
        description=f"at most as many, 1 to {MOST_OBJECTS}; else {MAX_OBJECTS}",
        json_schema_extra=parameters.at_most(MOST_OBJECTS),
    )


# By the last part of the route's path; the native methods take the same beside their picture.
FORMS: dict[str, type[BaseModel]] = {
    "/caption": CaptionForm,
    "/query": QueryForm,
    "/detect": FindForm,
    "/point": FindForm,
}
_PREFIX = "/upload"
PATHS = frozenset(_PREFIX + path for path in FORMS)


def router(answering: AnsweringService, settings: Settings) -> APIRouter:
    """The routes, bound to the answering service."""
    routes = APIRouter(prefix=_PREFIX, tags=["moondream"])

    @routes.post(
        "/caption",
        summary="A caption for an uploaded picture",
        response_model=container_schemas.Caption,
        openapi_extra=_described(CaptionForm),
    )
    async def caption(request: Request) -> Response:
        """As `/caption`."""
        read, fields = await uploads.read_one(request, "file", settings)
        return await container.caption(answering, settings, request.receive, read, **_filled(CaptionForm, fields))

    @routes.post(
        "/query",
        summary="An answer about an uploaded picture",
        response_model=container_schemas.QueryAnswer,
        openapi_extra=_described(QueryForm),
    )
    async def query(request: Request) -> Response:
        """As `/query`."""
        read, fields = await uploads.read_one(request, "file", settings)
        return await container.query(answering, settings, request.receive, read, **_filled(QueryForm, fields))

    @routes.post(
        "/detect",
        summary="Boxes of things in an uploaded picture",
        response_model=container_schemas.Detections,
        responses=_PICTURE,
        openapi_extra=_described(FindForm),
    )
    async def detect(request: Request, view: Annotated[BoxView, Query()]) -> Response:
        """As `/detect`."""
        read, fields = await uploads.read_one(request, "file", settings)
        return await container.detect(
            answering, settings, request.receive, read, view=view, **_filled(FindForm, fields)
        )

    @routes.post(
        "/point",
        summary="Points on things in an uploaded picture",
        response_model=container_schemas.Points,
        responses=_PICTURE,
        openapi_extra=_described(FindForm),
    )
    async def point(request: Request, view: Annotated[PointView, Query()]) -> Response:
        """As `/point`."""
        read, fields = await uploads.read_one(request, "file", settings)
        return await container.point(answering, settings, request.receive, read, view=view, **_filled(FindForm, fields))

    return routes


def _filled(form: type[FormT], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The form's fields, checked. Raises InvalidValue."""
    try:
        return form.model_validate(fields).model_dump()
    except ValidationError as error:
        raise error_responses.of_validation(error.errors()) from error


def _described(form: type[BaseModel]) -> dict[str, Any]:
    """A form with its file, for the document."""
    schema = form.model_json_schema()
    for field in schema["properties"].values():  # a form has no null: what is not given is left out
        for kind in field.pop("anyOf", []):
            field |= kind if kind["type"] != "null" else {}
        if field.get("default", "") is None:
            del field["default"]
    described = {
        "type": "object",
        "required": ["file", *schema.get("required", ())],
        "properties": {"file": _FILE, **schema["properties"]},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": described}}}}
