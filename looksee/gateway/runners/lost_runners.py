"""What goes wrong between a gateway and a runner: what each trouble of a call says, and the errors that callers get."""

from __future__ import annotations

import logging
from http import HTTPStatus

import aiohttp
from bentoml.exceptions import BentoMLException

from looksee.core import errors

logger = logging.getLogger("looksee.gateway")

# The connection was closed while it was used, or the runner died: then all connections that are kept open are dead, and
# each may be tried before a new one is made, which a runner that is restarting answers from its backlog.
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError)
# Nothing answers at the address, so nothing was begun there.
UNREACHABLE = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
# Answers in a runner's place: it wants another key, or what stands before it finds no runner or lets nobody through.
_TURNED_AWAY = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class HandedOver(Exception):
    """A job that its runner does not answer and another may. `error` is for its caller where there is no other.

    `starts` counts the runners that have begun it. A `suspect` may be what ended the last one.
    """

    def __init__(self, error: errors.LookseeError, starts: int, *, suspect: bool) -> None:
        super().__init__(error.message)
        self.error, self.starts, self.suspect = error, starts, suspect


def is_turned_away(trouble: BaseException) -> bool:
    """Whether a call came to no runner, or to one that takes none from here."""
    refused = isinstance(trouble, BentoMLException) and trouble.error_code in _TURNED_AWAY
    return refused or isinstance(trouble, UNREACHABLE)


def overdue(model: str) -> errors.LookseeError:
    """The error for a runner that does not reply in time."""
    return errors.DeadlineExceeded(f"The model '{model}' did not answer in time.")


def failed(model: str, trouble: BaseException) -> errors.LookseeError:
    """The error for a runner that cannot be reached or breaks off; the details are logged, not sent to callers."""
    logger.error("the runner of %s failed: %s: %s", model, type(trouble).__name__, trouble)
    return unreachable(model, trouble)


def unreachable(model: str, trouble: BaseException | None = None) -> errors.LookseeError:
    """The same without a word in the log."""
    error = errors.RunnerFailed(f"The runner of '{model}' failed or cannot be reached; try again.", retry_after=5)
    error.__cause__ = trouble
    return error
