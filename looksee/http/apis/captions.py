"""A caption for each of several pictures, with tags and, where a question is asked for it, a flag."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.flags import verdict
from looksee.core.images import Picture
from looksee.core.scoring.yes_or_no import yes_probability
from looksee.core.tags import tags
from looksee.core.tasks import Finish
from looksee.gateway.answering import Result, ServedAnswer
from looksee.http import error_params, error_responses
from looksee.http.answers.container_schemas import FINISHED
from looksee.http.answers.metadata import source
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis.caption_params import CaptionParams
from looksee.http.context import RequestContext
from looksee.http.inputs.uploads import Upload
from looksee.http.skills import CaptionSkill
from looksee.http.skills.query import flag as flag_job

logger = logging.getLogger("looksee.api")

Weights = Literal["sample", "hub", "local", "cloud"]
FLAGGED = "whether the model said yes to the flag question; null when it was not understood or failed"
CONFIDENCE = "how likely the model found yes, 0 to 1; null where `flagged` is, or nothing was asked"
EVALUATED = "whether the model was asked the flag question and answered"


class Captioned(BaseModel):
    """A picture's caption."""

    filename: str
    caption: str
    tags: list[str] = Field(description="content words of the caption, then adjacent pairs joined by _")
    flagged: bool | None = Field(description=FLAGGED)
    flag_evaluated: bool = Field(description=EVALUATED)
    flag_confidence: float | None = Field(description=CONFIDENCE)
    finish_reason: Finish = Field(description=FINISHED)
    cache: bool = Field(description="whether the cache had the caption")
    model: str
    revision: str
    weights: Weights


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


async def answer(context: RequestContext, files: Sequence[Upload], params: CaptionParams) -> Response:
    """Captions and flags of all good files travel to the model together; a failed flag does not lose its caption.

    The status is 200 while at least one file has its caption, else that of the first failure. With `strict` it is that
    of the first failure in any case, a flag's too.
    """
    good = [file.picture for file in files if isinstance(file.picture, Picture)]
    skill = CaptionSkill(**params.words)
    jobs = [skill.job(params.model, [picture], context.settings) for picture in good]
    if params.flag_prompt:
        jobs += [flag_job(params.model, [picture], params.flag_prompt, context.settings) for picture in good]
    results = await context.answers(params.model, jobs)
    captions = iter([error_params.for_prompt(result, "caption_prompt") for result in results[: len(good)]])
    flags = iter([error_params.for_prompt(result, "flag_caption_prompt") for result in results[len(good) :]])
    shown: list[Captioned | Failed] = []
    failures: list[errors.LookseeError] = []
    for file in files:
        examined = isinstance(file.picture, Picture)
        caption = next(captions) if examined else file.picture
        flag = next(flags, None) if examined else None
        if isinstance(caption, ServedAnswer):
            shown.append(_captioned(file.filename, caption, flag))
            if params.strict and isinstance(flag, errors.LookseeError):
                failures.append(flag)
        else:
            assert isinstance(caption, errors.LookseeError)  # a picture that was examined has a result
            shown.append(Failed(filename=file.filename, error=FileError(code=caption.code, message=caption.message)))
            failures.append(caption)
    content = Captions(results=shown).model_dump()
    if failures and (params.strict or len(failures) == len(files)):
        return error_responses.response(failures[0], content)
    return JSONResponse(
        content, headers=server_timing([result for result in results if isinstance(result, ServedAnswer)])
    )


def read_flag(result: Result | None) -> tuple[bool | None, bool]:
    """`flagged` and `flag_evaluated` of the answer to a flag question; None when it was not asked."""
    if result is None:
        return False, False
    if isinstance(result, ServedAnswer):
        return verdict(result.answer.text), True
    logger.warning("a flag question failed: %s", result.code)
    return None, False


def flag_confidence(result: Result | None) -> float | None:
    """The probability of yes in the answer to a flag question; None where that is not understood."""
    if not isinstance(result, ServedAnswer) or verdict(result.answer.text) is None:
        return None
    found = yes_probability(result.answer.tokens)
    return None if found is None else round(found, 4)


def _captioned(filename: str, served: ServedAnswer, flag: Result | None) -> Captioned:
    caption = served.answer.text
    flagged, evaluated = read_flag(flag)
    return Captioned(
        filename=filename,
        caption=caption,
        tags=tags(caption),
        flagged=flagged,
        flag_evaluated=evaluated,
        flag_confidence=flag_confidence(flag),
        **source(served),
    )
