"""How many new tokens an answer may have: a request that asks for more is answered all the same, and told.

Programs are written for models with other limits. An answer that the limit cut says so by its `finish_reason`.
"""

from __future__ import annotations

from typing import Any

from looksee.core import errors
from looksee.settings import Settings

HEADER = "X-Looksee-Max-Tokens"  # of an answer to a request that asked for more
NO_LIMIT = -1  # as LM Studio has it
# For the document. 0 is no number of tokens.
SCHEMA: dict[str, Any] = {"minimum": NO_LIMIT, "not": {"const": 0}, "examples": [200]}


def check(count: int | None, *, param: str) -> None:
    """Raises InvalidValue for what is no number of tokens."""
    if count is not None and count < 1 and count != NO_LIMIT:
        raise errors.InvalidValue(
            f"'{param}' must be a whole number of at least 1, or {NO_LIMIT} for as many as there may be.", param=param
        )


def bounded(count: int | None, settings: Settings) -> int | None:
    """As many as LOOKSEE_MAX_NEW_TOKENS admits; None where nothing was asked."""
    return (
        None if count is None else settings.max_new_tokens if count == NO_LIMIT else min(count, settings.max_new_tokens)
    )


def headers(count: int | None, settings: Settings) -> dict[str, str]:
    """What the answer says of it: nothing where it has what was asked for."""
    return {} if bounded(count, settings) == count else {HEADER: str(settings.max_new_tokens)}
