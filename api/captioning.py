"""The captioning API: captions, tags and flags for uploaded pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

import errors
from api import shape, uploads
from api.context import REQUEST_ID
from api.uploads import Upload
from departure import unless_gone
from gateway.desk import Desk, Question, Served
from models.catalog import CATALOG, entry_for
from settings import Settings
from vision.images import Picture
from vision.tags import tags
from vision.tasks import Task, Timing

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
                            "items": {"type": "string", "format": "binary"},
                            "description": "JPEG, PNG or WebP files",
                        }
                    },
                }
            }
        },
    }
}

ModelName = Annotated[str, Query(description=f"one of: {', '.join(CATALOG)}", examples=["blip"])]


def router(desk: Desk, settings: Settings) -> APIRouter:
    """The routes, bound to a desk."""
    routes = APIRouter(prefix="/api", tags=["captioning"])

    @routes.post("/caption-images", summary="A caption for each picture", openapi_extra=_FILES)
    async def caption_images(
        request: Request,
        model: ModelName = "blip",
        caption_prompt: Annotated[str, Query(description="text that the caption continues")] = "",
        flag_caption_prompt: Annotated[str, Query(description="question whose yes sets `flagged`")] = "",
        strict: Annotated[bool, Query(description="fail the request if any picture fails")] = False,
    ) -> Response:
        """Captions, tags and flags, in upload order. One bad file does not spoil its neighbours."""
        entry_for(model, Task.CAPTION)
        for name, prompt in (("caption_prompt", caption_prompt), ("flag_caption_prompt", flag_caption_prompt)):
            check_prompt(prompt, settings, param=name)
        files = await uploads.read(request, "images", settings)
        questions = [Question(Task.CAPTION, file.picture, caption_prompt) for file in files if isinstance(file.picture, Picture)]
        work = desk.answer(
            model, questions, timeout=settings.request_timeout_seconds, request_id=REQUEST_ID.get()
        )
        served = iter(await unless_gone(request.receive, work) if questions else ())
        return _answer([(file, next(served) if isinstance(file.picture, Picture) else None) for file in files], strict)

    return routes


def check_prompt(prompt: str, settings: Settings, *, param: str) -> None:
    """Raises PromptTooLong for a prompt over the character limit (a model may have a tighter one, in tokens)."""
    if len(prompt) > settings.max_prompt_chars:
        raise errors.PromptTooLong(
            f"'{param}' has {len(prompt)} characters; at most {settings.max_prompt_chars} are accepted.", param=param
        )


def _answer(pairs: Sequence[tuple[Upload, Served | None]], strict: bool) -> Response:
    results, failures = [], []
    for file, served in pairs:
        error = file.picture if isinstance(file.picture, errors.LookseeError) else served.error if served else None
        if error is not None:
            failures.append(error)
            results.append({"filename": file.filename, "error": {"code": error.code, "message": error.message}})
        elif served is not None:
            results.append({"filename": file.filename, **_result(served)})
    if failures and (strict or len(failures) == len(results)):
        return shape.response(failures[0], {"results": results})
    headers = server_timing([served for _, served in pairs if served is not None])
    return JSONResponse({"results": results}, headers=headers)


def _result(served: Served) -> dict[str, Any]:
    caption = served.result().text
    identity = served.identity
    return {
        "caption": caption,
        "tags": tags(caption),
        # No model on offer answers questions yet, so nothing was asked of one.
        "flagged": False,
        "flag_evaluated": False,
        "cache": served.cached,
        "model": identity.model if identity else None,
        "revision": identity.revision if identity else None,
        "weights": identity.weights if identity else None,
    }


def server_timing(served: Sequence[Served]) -> dict[str, str]:
    """The Server-Timing header: the slowest of each part in milliseconds, rows of the batch, and the cache's share."""
    timings = [one.timing for one in served if not one.cached] or [Timing()]
    parts = [
        f"{name};dur={max(getattr(timing, name) for timing in timings) * 1000:.1f}"
        for name in ("prepare", "queue", "compute")
    ]
    hits = sum(one.cached for one in served)
    rows = max(timing.rows for timing in timings)
    return {"Server-Timing": ", ".join([*parts, f'batch;desc="{rows:.1f}"', f'cache;desc="{hits}/{len(served)}"'])}
