"""Errors about a parameter, under the name that the caller has for it."""

from __future__ import annotations

from dataclasses import replace

from looksee.core import errors
from looksee.core.tasks import Failure
from looksee.gateway.answering import Result


def for_prompt(result: Result, param: str) -> Result:
    """The result; the error of a prompt that is too long for the model names `param`."""
    return renamed(result, param) if isinstance(result, errors.PromptTooLong) else result


def renamed(error: errors.LookseeError, param: str) -> errors.LookseeError:
    """A copy of the error that names `param`: the error itself may be shared with other requests."""
    return replace(Failure.of(error), param=param).error()
