"""Answers of the Moondream container API, for its JSON methods and its forms alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from looksee.core.images import Picture
from looksee.core.tasks import Answer
from looksee.gateway.answering import ServedAnswer
from looksee.http.answers.metadata import source
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis import one_answer, several_objects
from looksee.http.context import RequestContext
from looksee.http.skills.localization import LocalizationSkill
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
    if isinstance(skill, LocalizationSkill) and skill.objects is not None:
        return await _about_several(context, model, skill, picture, view)
    served = await one_answer.asked(context, model, skill, [picture])
    headers = server_timing([served])
    if view is not None and view.annotate:
        return Response(await skill.drawing(served.answer, picture), media_type="image/png", headers=headers)
    members = skill.container_members(served.answer, picture, view)
    return JSONResponse({"status": "success", **members, **source(served)}, headers=headers)


async def _about_several(
    context: RequestContext, model: str, skill: LocalizationSkill, picture: Picture, view: View | None
) -> Response:
    """A drawing of some of the objects would look like one of all: then a failure is the answer."""
    found = await several_objects.results(context, model, skill, picture)
    if view is not None and view.annotate:
        served = [result for result in found if isinstance(result, ServedAnswer)]
        if len(served) < len(found):
            raise several_objects.first_failure(found)
        things = [(one.label, result.answer) for one, result in zip(skill.each(), served, strict=True)]
        drawn = await skill.drawing_of(things, picture)
        return Response(drawn, media_type="image/png", headers=server_timing(served))

    def members(one: LocalizationSkill, answer: Answer) -> dict[str, Any]:
        return one.container_members(answer, picture, view)

    entries = several_objects.shown(skill, found, members, told=True)
    return several_objects.response({"status": "success"}, entries, found)
