"""How a request asks the answering service: with its id and its deadline, and cancelled when its caller leaves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from looksee.core import errors
from looksee.gateway.answering import AnsweringService, CacheableJob, Result, ServedAnswer
from looksee.http.context import DEADLINE, FACTS, REQUEST_ID, RequestInfo
from looksee.http.edge.disconnect import Receive, unless_gone
from looksee.http.inputs import jobs
from looksee.settings import Settings


async def answers(
    answering: AnsweringService, settings: Settings, receive: Receive, model: str, asked: Sequence[CacheableJob]
) -> list[Result]:
    """A result for each job, in order. Raises as `AnsweringService.answer` does, and Cancelled when the caller left."""
    facts = FACTS.get()
    if facts is not None:
        facts.model = model
    work = answering.answer(model, asked, timeout=time_left(settings), request_id=REQUEST_ID.get())
    results = await unless_gone(receive, work)
    if facts is not None:
        facts.answers += len(results)
        facts.cached += sum(isinstance(result, ServedAnswer) and result.cached for result in results)
    return results


def time_left(settings: Settings) -> float:
    """Seconds until the request at hand is overdue; those of the settings where no door counts them."""
    deadline = DEADLINE.get()
    return settings.request_timeout_seconds if deadline is None else deadline.left()


async def ask(
    answering: AnsweringService, settings: Settings, receive: Receive, model: str, asked: CacheableJob, *, param: str
) -> ServedAnswer:
    """The whole answer to one question. Raises its error; `param` is what the caller calls the prompt."""
    (result,) = await answers(answering, settings, receive, model, [asked])
    result = jobs.called(result, param)
    if not isinstance(result, ServedAnswer):
        raise result
    return result


async def follow(
    answering: AnsweringService, settings: Settings, receive: Receive, model: str, asked: CacheableJob, *, param: str
) -> AsyncGenerator[str | ServedAnswer, None]:
    """The text of the answer in pieces, as `AnsweringService.follow` has them. When this returns there is a first one.

    Raises what `ask` raises; what goes wrong later is raised between the pieces. Close it to leave.
    """
    facts = FACTS.get()
    if facts is not None:
        facts.model = model
    pieces = answering.follow(model, asked, timeout=time_left(settings), request_id=REQUEST_ID.get())

    async def begin() -> str | ServedAnswer:
        return await anext(pieces)

    try:
        first = await unless_gone(receive, begin())
    except errors.PromptTooLong as error:
        raise jobs.named(error, param) from None
    return _noted(first, pieces, facts)


async def _noted(
    first: str | ServedAnswer, rest: AsyncGenerator[str | ServedAnswer, None], facts: RequestInfo | None
) -> AsyncGenerator[str | ServedAnswer, None]:
    async with aclosing(rest):
        yield first
        last = first
        async for last in rest:
            yield last
    if facts is not None and isinstance(last, ServedAnswer):
        facts.answers += 1
        facts.cached += last.cached
