"""The captioning API: captions, tags and flags for uploaded pictures, one by one or together."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from looksee.core.image_formats import FORMATS, listed
from looksee.core.tasks import Task
from looksee.http.apis import captions, collective
from looksee.http.apis.caption_params import checked
from looksee.http.context import ContextFactory
from looksee.http.inputs import parameters, uploads

_FILES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "properties": {
                        "images": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": f"pictures: {listed(FORMATS, 'or')}",
                        }
                    },
                }
            }
        },
    }
}


# The model of a request that names none, by path: known before its body is read.
MODELS = {"/api/caption-images": "blip", "/api/caption-collective-images": "gemma"}


def _models(task: Task, example: str) -> Any:
    return Query(examples=[example], **parameters.model(task))


CaptionPrompt = Annotated[
    str,
    Query(
        description="blip, blip2: text that the caption continues; the others: an instruction",
        examples=["a photo of"],
    ),
]
FlagPrompt = Annotated[
    str,
    Query(
        description="question whose yes sets `flagged`; empty: LOOKSEE_FLAG_PROMPT; blip answers none",
        examples=["Is there a triangle?"],
    ),
]


Strict = Annotated[bool, Query(description="fail the request if anything fails: a picture, or a flag")]


def router(contexts: ContextFactory) -> APIRouter:
    """The routes."""
    settings = contexts.settings
    routes = APIRouter(prefix="/api", tags=["captioning"])

    @routes.post(
        "/caption-images", summary="A caption for each picture", openapi_extra=_FILES, response_model=captions.Captions
    )
    async def caption_images(
        request: Request,
        model: Annotated[str, _models(Task.CAPTION, "blip")] = MODELS["/api/caption-images"],
        caption_prompt: CaptionPrompt = "",
        flag_caption_prompt: FlagPrompt = "",
        strict: Strict = False,
    ) -> Response:
        """Captions, tags and flags, in upload order. One bad file does not spoil its neighbours."""
        params = checked(
            Task.CAPTION,
            settings,
            model=model,
            caption_prompt=caption_prompt,
            flag_caption_prompt=flag_caption_prompt,
            strict=strict,
        )
        context = contexts.of(request.receive)
        files = await uploads.read(request, "images", context)
        return await captions.answer(context, files, params)

    @routes.post(
        "/caption-collective-images",
        summary="One caption for all pictures together",
        openapi_extra=_FILES,
        response_model=collective.Collective,
    )
    async def caption_collective_images(
        request: Request,
        model: Annotated[str, _models(Task.COLLECTIVE, "gemma")] = MODELS["/api/caption-collective-images"],
        caption_prompt: CaptionPrompt = "",
        flag_caption_prompt: FlagPrompt = "",
        strict: Strict = False,
    ) -> Response:
        """Caption, tags and flag of all pictures, in upload order. One bad file fails the request, named in the error:
        a caption of the others would be a wrong one.
        """
        params = checked(
            Task.COLLECTIVE,
            settings,
            model=model,
            caption_prompt=caption_prompt,
            flag_caption_prompt=flag_caption_prompt,
            strict=strict,
        )
        context = contexts.of(request.receive)
        files = await uploads.read(request, "images", context)
        return await collective.answer(context, files, params)

    return routes
