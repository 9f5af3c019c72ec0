"""Errors as the OpenAI API has them: a `type` in each, and on its routes its statuses and codes.

Its packages raise a class for each status: a caller who catches BadRequestError or NotFoundError must not be given
another one for the same mistake. On all other routes a bad value is 422, as the systems that are replaced have it.
"""

from __future__ import annotations

from dataclasses import replace

from looksee.core import errors
from looksee.core.tasks import Failure

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES: dict[type[errors.LookseeError], type[errors.LookseeError]] = {
    errors.UnknownModel: errors.ModelNotFound,
    errors.PromptTooLong: errors.ContextLengthExceeded,
}
_BAD = (413, 415, 422)  # statuses of what a request says or brings; 400 there


def kind(error: errors.LookseeError) -> str:
    """The `type` of an error."""
    return _TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")


def own(error: errors.LookseeError) -> errors.LookseeError:
    """The error with the code that the API has for it."""
    found = _CODES.get(type(error))
    return error if found is None else replace(Failure.of(error), code=found.code).error()


def status(error: errors.LookseeError) -> int:
    """The status that the API has for an error; a body with too many bytes is 413 there too."""
    if isinstance(error, errors.RequestTooLarge):
        return error.status
    return 400 if error.status in _BAD else error.status
