"""How rows end: with an answer, with an error, or without a reply because their callers have left."""

from __future__ import annotations

import logging
from typing import Any, Generic

from looksee.core import errors
from looksee.core.tasks import Failure, Reply
from looksee.engine.observer import EngineObserver
from looksee.engine.row import ScheduledRow
from looksee.models.interface import Model, RowT

logger = logging.getLogger("looksee.engine")


class Replies(Generic[RowT]):
    """Replies to the rows of one model. Its methods may be called on any thread."""

    def __init__(self, model: Model[RowT, Any], observer: EngineObserver) -> None:
        self.model, self.observer = model, observer

    def succeed(self, row: ScheduledRow[RowT]) -> None:
        """Answer a row that has finished."""
        try:
            answer = self.model.answer(row.model_row)
        except Exception as error:
            self.fail(row, error)
        else:
            self.observer.row_answered(answer.prompt_tokens, answer.new_tokens)
            timing = row.timing()
            self.observer.row_timed(timing.prefill, timing.compute - timing.prefill)
            row.stream(answer.text)
            row.reply(Reply(answer=answer, timing=timing))

    def fail(self, row: ScheduledRow[RowT], error: Exception) -> None:
        """End a row with an error; one that is not a `LookseeError` is logged and becomes RunnerFailed."""
        if not isinstance(error, errors.LookseeError):
            row.context.run(logger.error, "a row failed", exc_info=error)
            error = errors.RunnerFailed("The model failed on this request.")
        self.observer.row_dropped(error.code)
        row.reply(Reply(failure=Failure.of(error), timing=row.timing()))

    def drop_if_gone(self, row: ScheduledRow[RowT], now: float) -> bool:
        """Whether the row's caller has left or its deadline has passed; an overdue row gets DeadlineExceeded."""
        if row.cancelled:
            self.observer.row_dropped("cancelled")
            return True
        if now >= row.deadline:
            self.fail(row, errors.DeadlineExceeded("The request was not answered within its time."))
            return True
        return False
