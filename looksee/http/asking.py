"""The doors' way to the desk: every request asks here, with its id and its deadline, and is cancelled when its caller
leaves.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from looksee.core import errors
from looksee.gateway.answering import Desk, Question, Result, Served
from looksee.http.context import DEADLINE, FACTS, REQUEST_ID, Facts
from looksee.http.edge.disconnect import Receive, unless_gone
from looksee.http.inputs import jobs
from looksee.settings.general import Settings


async def answers(
    desk: Desk, settings: Settings, receive: Receive, model: str, asked: Sequence[Question]
) -> list[Result]:
    """A result for each question, in order. Raises what `Desk.answer` raises, and Cancelled when the caller left."""
    facts = FACTS.get()
    if facts is not None:
        facts.model = model
    work = desk.answer(model, asked, timeout=time_left(settings), request_id=REQUEST_ID.get())
    results = await unless_gone(receive, work)
    if facts is not None:
        facts.answers += len(results)
        facts.cached += sum(isinstance(result, Served) and result.cached for result in results)
    return results


def time_left(settings: Settings) -> float:
    """Seconds until the request at hand is overdue; those of the settings where no door counts them."""
    deadline = DEADLINE.get()
    return settings.request_timeout_seconds if deadline is None else deadline.left()


async def ask(desk: Desk, settings: Settings, receive: Receive, model: str, asked: Question, *, param: str) -> Served:
    """The whole answer to one question. Raises its error; `param` is what the caller calls the prompt."""
    (result,) = await answers(desk, settings, receive, model, [asked])
    result = jobs.called(result, param)
    if not isinstance(result, Served):
        raise result
    return result


async def follow(
    desk: Desk, settings: Settings, receive: Receive, model: str, asked: Question, *, param: str
) -> AsyncGenerator[str | Served, None]:
    """The text of the answer in pieces, as `Desk.follow` has them. When this returns there is a first one.

    Raises what `ask` raises; what goes wrong later is raised between the pieces. Close it to leave.
    """
    facts = FACTS.get()
    if facts is not None:
        facts.model = model
    pieces = desk.follow(model, asked, timeout=time_left(settings), request_id=REQUEST_ID.get())

    async def begin() -> str | Served:
        return await anext(pieces)

    try:
        first = await unless_gone(receive, begin())
    except errors.PromptTooLong as error:
        raise jobs.named(error, param) from None
    return _noted(first, pieces, facts)


async def _noted(
    first: str | Served, rest: AsyncGenerator[str | Served, None], facts: Facts | None
) -> AsyncGenerator[str | Served, None]:
    async with aclosing(rest):
        yield first
        last = first
        async for last in rest:
            yield last
    if facts is not None and isinstance(last, Served):
        facts.answers += 1
        facts.cached += last.cached
