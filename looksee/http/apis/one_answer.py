"""A skill's answer about pictures, where it is one: also of a skill that asks the model several times for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from looksee.core.images import Picture
from looksee.gateway.answering import ServedAnswer
from looksee.http import error_params
from looksee.http.context import RequestContext
from looksee.http.skills import ClassifySkill, Skill

# Jobs of one request that the model has at a time: one request with many labels must not fill a model's queue.
AT_ONCE = 16


async def asked(context: RequestContext, model: str, skill: Skill, pictures: Sequence[Picture]) -> ServedAnswer:
    """The answer. Raises its error, and what `RequestContext.answers` raises."""
    if not isinstance(skill, ClassifySkill):
        return await context.ask(model, skill.job(model, pictures, context.settings), param=skill.prompt_param)
    served: list[ServedAnswer] = []
    jobs = skill.jobs(model, pictures, context.settings)
    for first in range(0, len(jobs), AT_ONCE):
        for result in await context.answers(model, jobs[first : first + AT_ONCE]):
            result = error_params.for_prompt(result, skill.prompt_param)
            if not isinstance(result, ServedAnswer):
                raise result
            served.append(result)
    cached = all(one.cached for one in served)
    return replace(served[0], answer=skill.together([one.answer for one in served]), cached=cached)
