"""The Moondream container API: a picture as base64 in JSON, an answer with `"status": "success"`.

These functions are the bodies of BentoML-native methods, so that BentoML's Python clients call them by name. They
answer errors themselves: BentoML would hide them.
"""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse

import errors
from api import asking, questions, shape
from api.timing import server_timing
from api.uploads import image_limits
from departure import Receive
from gateway.desk import Desk, Question, Served
from models.catalog import entry_for
from settings import Settings
from vision.images import Picture, from_base64
from vision.tasks import Task

LENGTHS = ("short", "normal", "long")
# Who answers when a request names no model: Moondream, by this API's contract, as soon as it is on offer.
MODEL = {Task.CAPTION: "blip", Task.QUERY: "gemma"}


async def caption(
    desk: Desk,
    settings: Settings,
    receive: Receive,
    *,
    image: str,
    length: str,
    model: str,
    prompt: str,
    max_new_tokens: int | None,
) -> JSONResponse:
    """Caption one picture."""
    try:
        entry_for(model, Task.CAPTION)
        if length not in LENGTHS:
            raise errors.InvalidValue(f"'length' must be one of: {', '.join(LENGTHS)}.", param="length")
        if length != "normal":
            raise errors.TaskNotSupported(f"The model '{model}' has one length of caption: normal.", param="length")
        questions.check_prompt(prompt, settings, param="prompt")
        questions.check_new_tokens(max_new_tokens, settings)
        picture = await _picture(image, settings)
        asked = questions.caption(model, picture, settings, prompt=prompt, max_new_tokens=max_new_tokens)
        return await _answer(desk, settings, receive, model, asked, called="caption", prompt_param="prompt")
    except errors.LookseeError as error:
        return shape.response(error)


async def query(
    desk: Desk,
    settings: Settings,
    receive: Receive,
    *,
    image: str,
    question: str,
    model: str,
    max_new_tokens: int | None,
) -> JSONResponse:
    """Answer a question about one picture."""
    try:
        entry_for(model, Task.QUERY)
        questions.check_question(question, settings, param="question")
        questions.check_new_tokens(max_new_tokens, settings)
        picture = await _picture(image, settings)
        asked = questions.query(model, picture, question, settings, max_new_tokens=max_new_tokens)
        return await _answer(desk, settings, receive, model, asked, called="answer", prompt_param="question")
    except errors.LookseeError as error:
        return shape.response(error)


async def _picture(image: str, settings: Settings) -> Picture:
    return await asyncio.to_thread(from_base64, image, image_limits(settings))


async def _answer(
    desk: Desk, settings: Settings, receive: Receive, model: str, asked: Question, *, called: str, prompt_param: str
) -> JSONResponse:
    """The whole answer, its text as the member `called`. Raises the question's error."""
    (result,) = await asking.answers(desk, settings, receive, model, [asked])
    result = questions.called(result, prompt_param)
    if not isinstance(result, Served):
        raise result
    content = {
        "status": "success",
        called: result.outcome.text,
        "cache": result.cached,
        "model": result.identity.model,
        "revision": result.identity.revision,
        "weights": result.identity.weights,
    }
    return JSONResponse(content, headers=server_timing([result]))
