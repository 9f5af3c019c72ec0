"""The bodies of BentoML's native methods, which its Python clients call by name.

The captioning API has its pictures there as a list of texts (base64, data URIs, addresses); a picture's name in the
answers is its index in the list: `images.0` and so on.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, FailFast, Field
from starlette.requests import Request
from starlette.responses import Response

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.http import error_responses
from looksee.http.answers import detections
from looksee.http.apis import caption_params, captions, collective, container
from looksee.http.context import RequestContext
from looksee.http.error_sentences import Accepted
from looksee.http.inputs import bodies, known, parameters, uploads
from looksee.http.inputs.bodies import BodyT
from looksee.http.inputs.wording.fields import LANGUAGE, MAX_WORDS, STRIP_OPENING
from looksee.http.skills import SKILLS, Skill
from looksee.settings import Settings

# FailFast: pydantic would describe each of millions of elements that are no text.
Images = Annotated[list[str], FailFast()]


class SeveralPictures(BaseModel):
    """What the native methods for several pictures take, for the document."""

    images: list[Annotated[str, Field(json_schema_extra=parameters.PICTURE)]] = Field(
        min_length=1, json_schema_extra=parameters.set_by("max_files", "maxItems")
    )
    caption_prompt: str = Field(
        "", description="blip, blip2: text that the caption continues; the others: an instruction"
    )
    flag_caption_prompt: str = Field("", description="question whose yes sets `flagged`")
    max_words: int = MAX_WORDS
    strip_opening: bool = STRIP_OPENING
    language: str = LANGUAGE


class CaptionImagesBody(SeveralPictures):
    model: str = Field("blip", json_schema_extra=parameters.able(Task.CAPTION))


class CollectiveBody(SeveralPictures):
    model: str = Field("gemma", json_schema_extra=parameters.able(Task.COLLECTIVE))


BODIES: dict[str, type[BaseModel]] = {"/caption_images": CaptionImagesBody, "/collective": CollectiveBody}
# Beside its picture a method takes what the form at /upload takes beside its file.
_FORMS = {f"/{task}": skill.container.form for task, skill in SKILLS.items() if skill.container is not None}
_IMAGE = {"type": "string", "description": "base64, a data URI, or an address that is allowed", **parameters.PICTURE}

# Query parameters, by path.
_VIEWS: dict[str, type[BaseModel]] = {
    f"/{task}": skill.container.view for task, skill in SKILLS.items() if skill.container and skill.container.view
}

_ANSWERS = {Task.CAPTION: captions.answer, Task.COLLECTIVE: collective.answer}


@functools.cache  # each request may need it for the words of its error
def schema(path: str) -> dict[str, Any]:
    """The schema of the body that the method at `path` takes: BentoML's own lacks ranges and choices."""
    if path in BODIES:
        return BODIES[path].model_json_schema()
    form = _FORMS[path].model_json_schema()
    return {
        **form,
        "required": ["image", *form.get("required", ())],
        "properties": {"image": _IMAGE, **form["properties"]},
    }


def make_schemas() -> None:
    """Have `schema` know all of them: the first takes as long as a small model's answer."""
    for path in (*BODIES, *_FORMS):
        schema(path)


async def read(request: Request, kind: type[BodyT], path: str, settings: Settings) -> BodyT:
    """The body of the method at `path`. Raises what `bodies.read` raises, for its query parameters too."""
    names = _VIEWS[path].model_fields if path in _VIEWS else {}
    known.refuse_query(request.query_params, tuple(names), is_json=True)
    return await bodies.read_native(request, kind, Accepted(schema(path), parameters.limits(settings)))


async def answer(
    context: RequestContext,
    task: Task,
    *,
    images: Sequence[str],
    model: str,
    **params: Any,
) -> Response:
    """Caption each picture, or all together, as `task` says; `params` are those of `caption_params.checked`.

    Raises the error to answer.
    """
    checked = caption_params.checked(task, context.settings, model=model, **params)
    pictures = await uploads.decode(images, "images", context)
    return await _ANSWERS[task](context, pictures, checked)


async def about_one(context: RequestContext, request: Request, model: str, skill: Skill, image: str) -> Response:
    """The container API's answer about one picture, written as the query parameters say, which BentoML gives no method.

    Raises the error to answer.
    """
    api = skill.container
    view = None if api is None or api.view is None else detections.view(api.view, request.query_params)
    return await container.answer(context, model, skill, uploads.encoded(image, context), view)


async def answered(work: Awaitable[Response]) -> Response:
    """The answer that `work` makes; its error becomes an answer here, since BentoML would hide it."""
    try:
        return await work
    except errors.LookseeError as error:
        return error_responses.response(error)
