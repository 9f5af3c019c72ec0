"""The Moondream container API: a picture as base64 in JSON, an answer with `"status": "success"`.

These functions are the bodies of BentoML-native methods, so that BentoML's Python clients call them by name.
"""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse

import errors
from api import shape
from api.captioning import check_prompt, server_timing
from api.context import REQUEST_ID
from api.uploads import image_limits
from departure import Receive, unless_gone
from gateway.desk import Desk, Question, Served
from models.catalog import entry_for
from settings import Settings
from vision.images import from_base64
from vision.tasks import Task

LENGTHS = ("short", "normal", "long")


async def caption(
    desk: Desk, settings: Settings, receive: Receive, *, image: str, length: str, model: str, prompt: str
) -> JSONResponse:
    """Caption one picture; errors become answers here, since BentoML would hide them."""
    try:
        entry_for(model, Task.CAPTION)
        if length not in LENGTHS:
            raise errors.InvalidValue(f"'length' must be one of: {', '.join(LENGTHS)}.", param="length")
        if length != "normal":
            raise errors.TaskNotSupported(f"The model '{model}' has one length of caption: normal.", param="length")
        check_prompt(prompt, settings, param="prompt")
        picture = await asyncio.to_thread(from_base64, image, image_limits(settings))
        question = Question(Task.CAPTION, picture, prompt)
        work = desk.answer(model, [question], timeout=settings.request_timeout_seconds, request_id=REQUEST_ID.get())
        (result,) = await unless_gone(receive, work)
    except errors.LookseeError as error:
        return shape.response(error)
    if not isinstance(result, Served):
        return shape.response(result)
    content = {
        "status": "success",
        "caption": result.outcome.text,
        "cache": result.cached,
        "model": model,
        "revision": result.identity.revision,
        "weights": result.identity.weights,
    }
    return JSONResponse(content, headers=server_timing([result]))
