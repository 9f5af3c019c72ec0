"""A limit as the table of edges has it."""

from __future__ import annotations

from dataclasses import dataclass

from looksee.core import errors

RETRY_AFTER = "`Retry-After`"


@dataclass(frozen=True, slots=True)
class Edge:
    """A limit. `limit` is the name of a setting's variable, or a fixed number in words; empty where there is neither.

    `error` is None where nothing is refused: `note` says what happens then.
    """

    what: str
    limit: str
    error: type[errors.LookseeError] | None
    note: str = ""
    header: str = ""
