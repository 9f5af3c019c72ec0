"""One question of a caller who waits: its whole answer, or its error in the caller's words."""

from __future__ import annotations

from api import questions
from api.context import REQUEST_ID
from departure import Receive, unless_gone
from gateway.desk import Desk, Question, Served
from settings import Settings


async def ask(desk: Desk, settings: Settings, receive: Receive, model: str, asked: Question, *, param: str) -> Served:
    """The model's whole answer. Raises the question's error; `param` is what the caller calls the prompt."""
    work = desk.answer(model, [asked], timeout=settings.request_timeout_seconds, request_id=REQUEST_ID.get())
    (result,) = await unless_gone(receive, work)
    result = questions.called(result, param)
    if not isinstance(result, Served):
        raise result
    return result
