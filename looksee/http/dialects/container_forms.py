"""The Moondream container API for forms: a picture as the file of a form, and beside it what JSON has as members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from looksee.core.image_formats import FORMATS, listed
from looksee.http import error_responses
from looksee.http.answers import detections
from looksee.http.apis import container
from looksee.http.context import ContextFactory
from looksee.http.inputs import parameters, uploads
from looksee.http.skills import SKILLS
from looksee.http.skills.skill import ContainerApi, Skill, View

_FILE = {"type": "string", "format": "binary", "description": f"a picture: {listed(FORMATS, 'or')}"}
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
_PREFIX = "/upload"
# By the last part of the route's path; the native methods take the same beside their picture.
FORMS: dict[str, type[BaseModel]] = {
    f"/{task}": skill.container.form for task, skill in SKILLS.items() if skill.container is not None
}
PATHS = frozenset(_PREFIX + path for path in FORMS)


def router(contexts: ContextFactory) -> APIRouter:
    """A route for each skill that the container API has."""
    routes = APIRouter(prefix=_PREFIX, tags=["moondream"])
    for task, skill in SKILLS.items():
        if skill.container is None:
            continue
        routes.add_api_route(
            f"/{task}",
            _handler(skill, skill.container, contexts),
            methods=["POST"],
            name=task,
            summary=skill.container.summary,
            description=f"As `/{task}`.",
            response_model=skill.container.answer,
            responses=_PICTURE if skill.container.view else None,
            openapi_extra={**_body(skill.container.form), **_query(skill.container.view)},
        )
    return routes


def _handler(skill: type[Skill], api: ContainerApi, contexts: ContextFactory) -> Callable[..., Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        view = None if api.view is None else detections.view(api.view, request.query_params)
        context = contexts.of(request.receive)
        read_picture, fields = await uploads.read_one(request, "file", context)
        form = _filled(api.form, fields, parameters.limits(context.settings))
        model = form.pop("model")
        return await container.answer(context, model, skill(**form), read_picture, view)

    return handler


def _filled(form: type[BaseModel], fields: Mapping[str, Any], limits: Mapping[str, int]) -> dict[str, Any]:
    """The form's fields, checked. Raises InvalidValue."""
    try:
        return form.model_validate(fields).model_dump()
    except ValidationError as error:
        raise error_responses.of_model(error, form, limits) from error


def _body(form: type[BaseModel]) -> dict[str, Any]:
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


def _query(view: type[View] | None) -> dict[str, Any]:
    """The query parameters of a view, for the document."""
    if view is None:
        return {}
    properties = view.model_json_schema()["properties"]
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": schema["description"], "schema": schema}
            for name, schema in properties.items()
        ]
    }
