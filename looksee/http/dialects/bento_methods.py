"""What BentoML's native methods need beside the dialects' bodies: its Python clients call these methods by name.

The captioning API has its pictures there as a list of texts (base64, data URIs, addresses); a picture's name in the
answers is its place in the list: `images.0` and so on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from pydantic import BaseModel, FailFast, Field
from starlette.requests import Request
from starlette.responses import Response

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.gateway.answering import AnsweringService
from looksee.http.answers import captions, collective, detections, error_responses
from looksee.http.answers.detections import BoxView, PointView
from looksee.http.edge.disconnect import Receive
from looksee.http.inputs import caption_params, uploads
from looksee.http.openapi import parameters
from looksee.settings import Settings

# The first element that is no text ends the reading: pydantic would describe each of millions.
Images = Annotated[list[str], FailFast()]


class SeveralPictures(BaseModel):
    """What the native methods for several pictures take, for the document."""

    images: list[Annotated[str, Field(json_schema_extra=parameters.PICTURE)]] = Field(min_length=1)
    caption_prompt: str = Field(
        "", description="blip, blip2: text that the caption continues; the others: an instruction"
    )
    flag_caption_prompt: str = Field("", description="question whose yes sets `flagged`")


class CaptionImagesBody(SeveralPictures):
    model: str = Field("blip", json_schema_extra=parameters.able(Task.CAPTION))


class CollectiveBody(SeveralPictures):
    model: str = Field("gemma", json_schema_extra=parameters.able(Task.COLLECTIVE))


BODIES: dict[str, type[BaseModel]] = {"/caption_images": CaptionImagesBody, "/collective": CollectiveBody}

_ANSWERS = {Task.CAPTION: captions.answer, Task.COLLECTIVE: collective.answer}


async def answer(
    task: Task,
    answering: AnsweringService,
    settings: Settings,
    receive: Receive,
    *,
    images: Sequence[str],
    model: str,
    caption_prompt: str,
    flag_caption_prompt: str,
) -> Response:
    """Caption each picture, or all together, as `task` says. Raises what a caller is told."""
    wanted = caption_params.checked(
        task, settings, model=model, caption_prompt=caption_prompt, flag_caption_prompt=flag_caption_prompt
    )
    pictures = await uploads.decode(images, "images", settings, receive)
    return await _ANSWERS[task](answering, settings, receive, pictures, wanted)


async def found(
    answer: Callable[..., Awaitable[Response]],
    view: type[BoxView | PointView],
    answering: AnsweringService,
    settings: Settings,
    request: Request,
    *,
    image: str,
    object: str,
    model: str,
    max_objects: int | None,
) -> Response:
    """The boxes or points of `answer`, told as the query parameters say, which BentoML gives no method."""
    wanted = detections.view(view, request.query_params)
    read = uploads.encoded(image, settings, request.receive)
    return await answer(
        answering, settings, request.receive, read, object=object, model=model, max_objects=max_objects, view=wanted
    )


async def told(work: Awaitable[Response]) -> Response:
    """The answer of a method's body; its error becomes an answer here, since BentoML would hide it."""
    try:
        return await work
    except errors.LookseeError as error:
        return error_responses.response(error)
