"""A limit as the table of edges has it."""

from __future__ import annotations

from dataclasses import dataclass

from looksee.core import errors
from looksee.http import openai_errors

RETRY_AFTER = "`Retry-After`"


@dataclass(frozen=True, slots=True)
class Edge:
    """A limit. `limit` is the name of a setting's variable, or a fixed number in words; empty where there is neither.

    `error` is None where nothing is refused: `note` says what happens then. `openai`: on the OpenAI API's routes, whose
    statuses are their own.
    """

    what: str
    limit: str
    error: type[errors.LookseeError] | None
    note: str = ""
    header: str = ""
    openai: bool = False

    @property
    def status(self) -> int:
        """The status of the refusal."""
        assert self.error is not None
        return openai_errors.status(self.error("")) if self.openai else self.error.status
