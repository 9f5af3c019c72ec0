"""The Moondream container API: what is asked about one picture, and an answer with `"status": "success"`.

The same bodies serve the native methods, which read a picture from JSON, and the forms. A picture is read when all
else has been checked. All raise the errors that the caller is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from looksee.core.images import Picture
from looksee.core.tasks import Task
from looksee.gateway.answering import AnsweringService, ServedAnswer
from looksee.http.answers import detections
from looksee.http.answers.detections import BoxView, PointView
from looksee.http.answers.metadata import whose
from looksee.http.answers.server_timing import server_timing
from looksee.http.asking import ask
from looksee.http.edge.disconnect import Receive
from looksee.http.inputs import jobs
from looksee.models.registry import offer_for
from looksee.settings import Settings

MODEL = "moondream"  # who answers when a request names nobody

Read = Callable[[], Awaitable[Picture]]


async def caption(
    answering: AnsweringService,
    settings: Settings,
    receive: Receive,
    read: Read,
    *,
    length: str,
    model: str,
    prompt: str,
    max_new_tokens: int | None,
) -> Response:
    """Caption one picture."""
    offer_for(model, Task.CAPTION)
    wanted = jobs.checked_length(length, model, prompt=prompt)
    jobs.check_prompt(prompt, settings, param="prompt")
    jobs.check_new_tokens(max_new_tokens, settings)
    picture = await read()
    asked = jobs.caption(model, picture, settings, prompt=prompt, length=wanted, max_new_tokens=max_new_tokens)
    served = await ask(answering, settings, receive, model, asked, param="prompt")
    return _answer(served, caption=served.answer.text)


async def query(
    answering: AnsweringService,
    settings: Settings,
    receive: Receive,
    read: Read,
    *,
    question: str,
    model: str,
    max_new_tokens: int | None,
) -> Response:
    """Answer a question about one picture."""
    offer_for(model, Task.QUERY)
    jobs.check_question(question, settings, param="question")
    jobs.check_new_tokens(max_new_tokens, settings)
    picture = await read()
    asked = jobs.query(model, picture, question, settings, max_new_tokens=max_new_tokens)
    served = await ask(answering, settings, receive, model, asked, param="question")
    return _answer(served, answer=served.answer.text)


async def detect(
    answering: AnsweringService,
    settings: Settings,
    receive: Receive,
    read: Read,
    *,
    object: str,
    model: str,
    max_objects: int | None,
    view: BoxView,
) -> Response:
    """Find the boxes of things in one picture; an annotated picture instead of JSON where `view` says so."""
    _check_find(Task.DETECT, settings, object, model, max_objects)
    picture = await read()
    asked = jobs.detect(picture, object, max_objects=max_objects)
    served = await ask(answering, settings, receive, model, asked, param="object")
    found, label = served.answer.boxes, object.strip()
    if view.annotate:
        return _drawing(served, await detections.drawn_boxes(picture, found, label))
    shown = detections.detections(found, label, picture, view)
    return _answer(served, detections=shown, count=len(shown), image=_size(picture))


async def point(
    answering: AnsweringService,
    settings: Settings,
    receive: Receive,
    read: Read,
    *,
    object: str,
    model: str,
    max_objects: int | None,
    view: PointView,
) -> Response:
    """Find a point on each of the things in one picture; as `detect`."""
    _check_find(Task.POINT, settings, object, model, max_objects)
    picture = await read()
    asked = jobs.point(picture, object, max_objects=max_objects)
    served = await ask(answering, settings, receive, model, asked, param="object")
    found = served.answer.points
    if view.annotate:
        return _drawing(served, await detections.drawn_points(picture, found, object.strip()))
    shown = detections.coordinates(found, picture, view)
    return _answer(served, coordinates={"points": shown, "count": len(shown)}, image=_size(picture))


def _check_find(task: Task, settings: Settings, thing: str, model: str, max_objects: int | None) -> None:
    offer_for(model, task)
    jobs.check_question(thing, settings, param="object")
    jobs.check_objects(max_objects)


def _size(picture: Picture) -> dict[str, int]:
    return {"width": picture.width, "height": picture.height}


def _answer(served: ServedAnswer, **own: Any) -> Response:
    content = {"status": "success", **own, **whose(served)}
    return JSONResponse(content, headers=server_timing([served]))


def _drawing(served: ServedAnswer, png: bytes) -> Response:
    return Response(png, media_type="image/png", headers=server_timing([served]))
