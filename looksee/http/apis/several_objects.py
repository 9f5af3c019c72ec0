"""Several objects looked for in one picture: each answered by itself, in the order asked.

One that fails does not lose its neighbours. What is known of a pair of picture and object is the single request's too,
and the model encodes the picture once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Answer
from looksee.gateway.answering import Result, ServedAnswer
from looksee.http import error_params, error_responses
from looksee.http.answers.metadata import source
from looksee.http.answers.server_timing import server_timing
from looksee.http.context import RequestContext
from looksee.http.skills.localization import LocalizationSkill

Members = Callable[[LocalizationSkill, Answer], Mapping[str, Any]]


async def results(context: RequestContext, model: str, skill: LocalizationSkill, picture: Picture) -> list[Result]:
    """A result for each of the skill's objects. Raises what `RequestContext.answers` raises."""
    jobs = [one.job(model, [picture], context.settings) for one in skill.each()]
    found = await context.answers(model, jobs)
    return [named(result, number) for number, result in enumerate(found)]


def named(result: Result, number: int) -> Result:
    """The result for the object at a place; an error about the prompt names the place."""
    return error_params.for_prompt(result, f"objects.{number}")


def shown(skill: LocalizationSkill, found: Sequence[Result], members: Members, *, told: bool) -> list[dict[str, Any]]:
    """The entries of `results`; with `told` each says its `status`, as answers of the container API do."""
    entries: list[dict[str, Any]] = []
    for one, result in zip(skill.each(), found, strict=True):
        head: dict[str, Any] = {"object": one.label}
        if isinstance(result, ServedAnswer):
            status = {"status": "success"} if told else {}
            entries.append({**head, **status, **members(one, result.answer), **source(result)})
        else:
            status = {"status": "error"} if told else {}
            about = {"code": result.code, "message": result.message, "param": result.param}
            entries.append({**head, **status, "error": about})
    return entries


def response(head: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], found: Sequence[Result]) -> Response:
    """The whole answer. Its status is 200 while at least one object was looked for, else that of the first failure."""
    served = [result for result in found if isinstance(result, ServedAnswer)]
    content = {"results": list(entries)}
    if not served:
        return error_responses.response(first_failure(found), content)
    return JSONResponse({**head, **content}, headers=server_timing(served))


def first_failure(found: Sequence[Result]) -> errors.LookseeError:
    """Of results that have one."""
    return next(result for result in found if not isinstance(result, ServedAnswer))
