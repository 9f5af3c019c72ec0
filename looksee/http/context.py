"""What belongs to the request at hand, known to every layer below the door: its id, its deadline, what became of it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from looksee.core import errors
from looksee.core.logs import REQUEST_ID as REQUEST_ID  # it is the logs' too, in the runners as well

_SANE = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(\.\d{0,9})?|\.\d{1,9}", re.ASCII)


def request_id_from(header: str | None) -> str:
    """The caller's id if it is short and plain, else a new one."""
    return header if header and _SANE.fullmatch(header) else secrets.token_hex(12)


class Deadline:
    """How long a request may take, counted from when its body has arrived: a slow upload is not our doing."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end: float | None = None

    def start(self) -> None:
        """Let it run; once it does, nothing changes that."""
        if self._end is None:
            self._end = time.monotonic() + self.seconds

    def left(self) -> float:
        """Seconds; negative when it has passed."""
        self.start()
        assert self._end is not None
        return self._end - time.monotonic()


def deadline_from(header: str | None, longest: float) -> Deadline:
    """The deadline that a caller asks for in seconds, at most `longest`, which is also everybody else's.

    Raises InvalidValue for anything but a positive decimal number.
    """
    if header is None:
        return Deadline(longest)
    seconds = float(header) if _SECONDS.fullmatch(header) else 0
    if not seconds:
        raise errors.InvalidValue(
            "X-Request-Timeout must be a number of seconds, more than 0.", param="X-Request-Timeout"
        )
    return Deadline(min(seconds, longest))


@dataclass(slots=True)
class RequestInfo:
    """What the access log tells of a request beside its address and status."""

    model: str | None = None
    answers: int = 0
    cached: int = 0  # of the answers
    error: str | None = None  # its code


DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
FACTS: ContextVar[RequestInfo | None] = ContextVar("facts", default=None)


@contextmanager
def begun(request_id: str) -> Iterator[RequestInfo]:
    """A request at hand, without a deadline yet; forgotten at the end."""
    facts = RequestInfo()
    id_before, facts_before, deadline_before = REQUEST_ID.set(request_id), FACTS.set(facts), DEADLINE.set(None)
    try:
        yield facts
    finally:
        DEADLINE.reset(deadline_before)
        FACTS.reset(facts_before)
        REQUEST_ID.reset(id_before)
