"""The captioning API for BentoML's Python clients: pictures as a list of base64 texts or data URIs, called by name.

A picture's name in the answers is its place in the list: `images.0` and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import FailFast
from starlette.responses import Response

import errors
from api import captions, collective, order, shape, uploads
from departure import Receive
from gateway.desk import Desk
from settings import Settings
from vision.tasks import Task

# The first element that is no text ends the reading: pydantic would describe each of millions.
Images = Annotated[list[str], FailFast()]

_ANSWERS = {Task.CAPTION: captions.answer, Task.COLLECTIVE: collective.answer}


async def answer(
    task: Task,
    desk: Desk,
    settings: Settings,
    receive: Receive,
    *,
    images: Sequence[str],
    model: str,
    caption_prompt: str,
    flag_caption_prompt: str,
) -> Response:
    """Caption each picture, or all together, as `task` says. Errors become answers here: BentoML would hide them."""
    try:
        wanted = order.checked(
            task, settings, model=model, caption_prompt=caption_prompt, flag_caption_prompt=flag_caption_prompt
        )
        pictures = await uploads.decode(images, "images", settings)
        return await _ANSWERS[task](desk, settings, receive, pictures, wanted)
    except errors.LookseeError as error:
        return shape.response(error)
