"""The captioning API: captions, tags and flags for uploaded pictures, one by one or together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from looksee.core.image_formats import FORMATS, listed
from looksee.core.tasks import Task
from looksee.http.apis import captions, collective
from looksee.http.apis.caption_params import CaptionParams, checked
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.inputs import forms, parameters, uploads
from looksee.http.inputs.uploads import Upload
from looksee.http.inputs.wording.fields import LANGUAGE, MAX_WORDS, STRIP_OPENING

_FIELD = "images"
_FILES = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "format": "binary"},
    "description": f"pictures: {listed(FORMATS, 'or')}; parameters may be fields of the form as well as in the query",
}

# The model of a request that names none, by path: known before its body is read.
MODELS = {"/api/caption-images": "blip", "/api/caption-collective-images": "gemma"}


class CaptioningParams(BaseModel):
    """The parameters, in the query or in the form."""

    caption_prompt: str = Field(
        "",
        description="blip, blip2: text that the caption continues; the others: an instruction",
        examples=["a photo of"],
    )
    flag_caption_prompt: str = Field(
        "",
        description="question whose yes sets `flagged`; empty: LOOKSEE_FLAG_PROMPT; blip answers none",
        examples=["Is there a triangle?"],
    )
    max_words: int = MAX_WORDS
    strip_opening: bool = STRIP_OPENING
    language: str = LANGUAGE
    strict: bool = Field(False, description="fail the request if anything fails: a picture, or a flag")


class CaptionEachParams(CaptioningParams):
    model: str = Field(MODELS["/api/caption-images"], examples=["blip"], **parameters.model(Task.CAPTION))


class CaptionTogetherParams(CaptioningParams):
    model: str = Field(
        MODELS["/api/caption-collective-images"], examples=["gemma"], **parameters.model(Task.COLLECTIVE)
    )


def router(contexts: ContextFactory) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api", tags=["captioning"])

    @routes.post(
        "/caption-images",
        summary="A caption for each picture",
        openapi_extra=_described(CaptionEachParams),
        response_model=captions.Captions,
    )
    async def caption_images(request: Request) -> Response:
        """Captions, tags and flags, in upload order. One bad file does not spoil its neighbours."""
        context = contexts.of(request.receive)
        files, params = await _read(request, context, Task.CAPTION, CaptionEachParams)
        return await captions.answer(context, files, params)

    @routes.post(
        "/caption-collective-images",
        summary="One caption for all pictures together",
        openapi_extra=_described(CaptionTogetherParams),
        response_model=collective.Collective,
    )
    async def caption_collective_images(request: Request) -> Response:
        """Caption, tags and flag of all pictures, in upload order. One bad file fails the request, named in the error:
        a caption of the others would be a wrong one.
        """
        context = contexts.of(request.receive)
        files, params = await _read(request, context, Task.COLLECTIVE, CaptionTogetherParams)
        return await collective.answer(context, files, params)

    return routes


async def _read(
    request: Request, context: RequestContext, task: Task, kind: type[BaseModel]
) -> tuple[Sequence[Upload], CaptionParams]:
    """The files and the parameters, which are checked before a picture is examined; those of the query at once."""
    settings = context.settings
    _checked(task, context, kind, request, [])
    form = await uploads.read(
        request,
        _FIELD,
        context,
        most=settings.max_files,
        names=forms.names_of(kind),
        instead=" JSON with pictures in base64 goes to /caption_images and /collective.",
    )
    params = _checked(task, context, kind, request, form.texts)
    return await form.pictures(), params


def _checked(
    task: Task, context: RequestContext, kind: type[BaseModel], request: Request, texts: forms.Texts
) -> CaptionParams:
    (given,) = forms.read([kind], request.query_params, texts, parameters.limits(context.settings))
    return checked(task, context.settings, **given.model_dump())


def _described(kind: type[BaseModel]) -> dict[str, Any]:
    return {**forms.described(_FIELD, _FILES, None), **forms.query_described(kind)}
