"""The Moondream container API for forms: a picture as the file of a form, and beside it what JSON has as members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from looksee.core.image_formats import FORMATS, listed
from looksee.http.apis import container
from looksee.http.context import ContextFactory
from looksee.http.inputs import forms, parameters, uploads
from looksee.http.skills import SKILLS
from looksee.http.skills.skill import ContainerApi, Skill

_FIELD = "file"
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
            description=f"As `/{task}`. Fields of the form may be in the query as well, and the query's in the form.",
            response_model=skill.container.answer,
            responses=_PICTURE if skill.container.view else None,
            openapi_extra={
                **forms.described(_FIELD, _FILE, skill.container.form),
                **forms.query_described(skill.container.view),
            },
        )
    return routes


def _handler(skill: type[Skill], api: ContainerApi, contexts: ContextFactory) -> Callable[..., Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        context = contexts.of(request.receive)
        kinds = [api.form] if api.view is None else [api.form, api.view]
        instead = f" JSON with the picture in base64 goes to /{skill.task}."
        form = await uploads.read(request, _FIELD, context, most=1, names=forms.names_of(*kinds), instead=instead)
        limits = parameters.limits(context.settings)
        fields, *views = forms.read(kinds, request.query_params, form.texts, limits)
        given = fields.model_dump()
        model = given.pop("model")
        return await container.answer(context, model, skill(**given), form.picture, next(iter(views), None))

    return handler
