"""The captioning API: captions, tags and flags for uploaded pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

import errors
from api import shape, uploads
from api.context import REQUEST_ID
from departure import unless_gone
from gateway.desk import Desk, Question, Result, Served
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


class Captioned(BaseModel):
    """A picture's caption."""

    filename: str
    caption: str
    tags: list[str] = Field(description="content words of the caption, then adjacent pairs joined by _")
    flagged: bool | None = Field(description="the answer to flag_caption_prompt; null when it was not understood")
    flag_evaluated: bool = Field(description="whether the flag question was asked")
    cache: bool = Field(description="whether the cache had the caption")
    model: str
    revision: str
    weights: Literal["sample", "hub", "local"]


class FileError(BaseModel):
    """What is wrong with a file."""

    code: str
    message: str


class Failed(BaseModel):
    """A picture that could not be captioned."""

    filename: str
    error: FileError


class Captions(BaseModel):
    """One result for each file, in upload order."""

    results: list[Captioned | Failed]


ModelName = Annotated[str, Query(description=f"one of: {', '.join(CATALOG)}", examples=["blip"])]


def router(desk: Desk, settings: Settings) -> APIRouter:
    """The routes, bound to a desk."""
    routes = APIRouter(prefix="/api", tags=["captioning"])

    @routes.post("/caption-images", summary="A caption for each picture", openapi_extra=_FILES, response_model=Captions)
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
        good = [file.picture for file in files if isinstance(file.picture, Picture)]
        questions = [Question(Task.CAPTION, picture, caption_prompt) for picture in good]
        work = desk.answer(model, questions, timeout=settings.request_timeout_seconds, request_id=REQUEST_ID.get())
        answers = iter(await unless_gone(request.receive, work))
        results = [next(answers) if isinstance(file.picture, Picture) else file.picture for file in files]
        return _answer([file.filename for file in files], results, strict)

    return routes


def check_prompt(prompt: str, settings: Settings, *, param: str) -> None:
    """Raises PromptTooLong for a prompt over the character limit (a model may have a tighter one, in tokens).

    Raises InvalidValue for one that is no text: JSON can bring half of a surrogate pair.
    """
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise errors.InvalidValue(f"'{param}' is not valid Unicode.", param=param)
    if len(prompt) > settings.max_prompt_chars:
        raise errors.PromptTooLong(
            f"'{param}' has {len(prompt)} characters; at most {settings.max_prompt_chars} are accepted.", param=param
        )


def _answer(filenames: Sequence[str], results: Sequence[Result], strict: bool) -> Response:
    shown: list[Captioned | Failed] = []
    for filename, result in zip(filenames, results, strict=True):
        if isinstance(result, Served):
            shown.append(_captioned(filename, result))
        else:
            shown.append(Failed(filename=filename, error=FileError(code=result.code, message=result.message)))
    content = Captions(results=shown).model_dump()
    failures = [result for result in results if not isinstance(result, Served)]
    if failures and (strict or len(failures) == len(results)):
        return shape.response(failures[0], content)
    return JSONResponse(content, headers=server_timing([result for result in results if isinstance(result, Served)]))


def _captioned(filename: str, served: Served) -> Captioned:
    caption = served.outcome.text
    return Captioned(
        filename=filename,
        caption=caption,
        tags=tags(caption),
        flagged=False,
        flag_evaluated=False,  # no model on offer answers questions yet, so nothing was asked of one
        cache=served.cached,
        model=served.identity.model,
        revision=served.identity.revision,
        weights=served.identity.weights,
    )


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
