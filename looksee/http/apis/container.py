"""Answers of the Moondream container API, for its JSON methods and its forms alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse, Response

from looksee.core.images import Picture
from looksee.http.answers.metadata import source
from looksee.http.answers.server_timing import server_timing
from looksee.http.context import RequestContext
from looksee.http.skills.skill import Skill, View
from looksee.models.registry import offer_for


async def answer(
    context: RequestContext,
    model: str,
    skill: Skill,
    read_picture: Callable[[], Awaitable[Picture]],
    view: View | None = None,
) -> Response:
    """The answer about one picture, with `"status": "success"`; with `view.annotate` the picture as a PNG file.

    The picture is read when everything else has been checked. Raises the error to answer.
    """
    model = offer_for(model, skill.task).name
    skill.check(model, context.settings)
    picture = await read_picture()
    job = skill.job(model, [picture], context.settings)
    served = await context.ask(model, job, param=skill.prompt_param)
    headers = server_timing([served])
    if view is not None and view.annotate:
        return Response(await skill.drawing(served.answer, picture), media_type="image/png", headers=headers)
    members = skill.container_members(served.answer, picture, view)
    return JSONResponse({"status": "success", **members, **source(served)}, headers=headers)
