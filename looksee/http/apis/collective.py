"""One caption for several pictures together.

One bad file fails the request: a caption of the others would look right and be about other pictures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tags import tags
from looksee.core.tasks import Failure, Finish
from looksee.gateway.answering import ServedAnswer
from looksee.http import error_params
from looksee.http.answers.container_schemas import FINISHED
from looksee.http.answers.metadata import source
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis.caption_params import CaptionParams
from looksee.http.apis.captions import CONFIDENCE, EVALUATED, FLAGGED, Weights, flag_confidence, read_flag
from looksee.http.context import RequestContext
from looksee.http.inputs.uploads import Upload
from looksee.http.skills import CollectiveSkill
from looksee.http.skills.query import flag as flag_job

_INDEX = re.compile(r"images\.(\d+)")


class Collective(BaseModel):
    """The pictures' caption."""

    collective_caption: str
    count: int = Field(description="pictures that it is about")
    tags: list[str] = Field(description="content words of the caption, then adjacent pairs joined by _")
    flagged: bool | None = Field(description=FLAGGED)
    flag_evaluated: bool = Field(description=EVALUATED)
    flag_confidence: float | None = Field(description=CONFIDENCE)
    finish_reason: Finish = Field(description=FINISHED)
    cache: bool = Field(description="whether the cache had the caption")
    model: str
    revision: str
    weights: Weights


async def answer(context: RequestContext, files: Sequence[Upload], params: CaptionParams) -> Response:
    """The caption of all files; the flag question is asked about them together.

    Raises the first bad file's error, with the file's name. A failed flag loses the caption only with `strict`.
    """
    pictures: list[Picture] = []
    for file in files:
        if not isinstance(file.picture, Picture):
            raise _named(file.picture, file.filename)
        pictures.append(file.picture)
    jobs = [CollectiveSkill(**params.words).job(params.model, pictures, context.settings)]
    if params.flag_prompt:
        jobs.append(flag_job(params.model, pictures, params.flag_prompt, context.settings))
    results = await context.answers(params.model, jobs)
    # Without a caller's prompt it is too many pictures that make the model's prompt too long.
    caption = error_params.for_prompt(results[0], "caption_prompt" if params.caption_prompt else "images")
    flag = error_params.for_prompt(results[1], "flag_caption_prompt") if params.flag_prompt else None
    if not isinstance(caption, ServedAnswer):
        raise _blamed(caption, [file.filename for file in files])
    if params.strict and isinstance(flag, errors.LookseeError):
        raise flag
    text = caption.answer.text
    flagged, evaluated = read_flag(flag)
    found = Collective(
        collective_caption=text,
        count=len(pictures),
        tags=tags(text),
        flagged=flagged,
        flag_evaluated=evaluated,
        flag_confidence=flag_confidence(flag),
        **source(caption),
    )
    served = [result for result in results if isinstance(result, ServedAnswer)]
    return JSONResponse(found.model_dump(), headers=server_timing(served))


def _blamed(error: errors.LookseeError, filenames: Sequence[str]) -> errors.LookseeError:
    """The model's error, with the filename of a damaged picture: the runner decodes it and has its index."""
    index = _INDEX.fullmatch(error.param or "")
    if index and int(index[1]) < len(filenames):
        return _named(error, filenames[int(index[1])])
    if isinstance(error, errors.CorruptImage) and len(filenames) == 1:
        return _named(error, filenames[0])
    return error


def _named(error: errors.LookseeError, filename: str) -> errors.LookseeError:
    return replace(Failure.of(error), message=f"'{filename}': {error.message}", param="images").error()
