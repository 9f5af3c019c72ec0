"""What the edge hands over to the handlers of a request, as context variables: its id, its deadline, and the record
that the access log is written from. Below the edge `looksee.http.context` reads them, and the error responses do.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from looksee.core import errors
from looksee.core.logs import REQUEST_ID as REQUEST_ID  # the logs of gateway and runners read it too

_SANE = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(\.\d{0,9})?|\.\d{1,9}", re.ASCII)


def request_id_from(header: str | None) -> str:
    """The caller's id if it is short and plain, else a new one."""
    return header if header and _SANE.fullmatch(header) else secrets.token_hex(12)


class Deadline:
    """How long a request may take, counted from the end of its body: a slow upload takes none of it, nor does the time
    for which weights load, unless it is the caller's own.
    """

    def __init__(self, seconds: float, *, callers: bool = False) -> None:
        """`callers`: the caller has said it, and waits no longer whatever the reason."""
        self.seconds, self.callers = seconds, callers
        self.on_change: Callable[[], None] = lambda: None  # called when it stands still, and when it goes on
        self._end: float | None = None
        self._latest = math.inf
        self._holds, self._since, self._until = 0, 0.0, 0.0  # how many hold it, since when, and until when at most

    def start(self) -> None:
        """Start the clock. Further calls have no effect."""
        if self._end is None:
            self._end = time.monotonic() + self.seconds

    def shorten(self, seconds: float) -> None:
        """Let it pass `seconds` from now at the latest, also where the body has not ended yet."""
        self._latest = min(self._latest, time.monotonic() + seconds)

    def hold(self, seconds: float) -> None:
        """Let it stand still, for so many seconds at most. Several may hold it at a time."""
        now = time.monotonic()
        if not self._holds:
            self._since = now
        self._holds += 1
        self._until = max(self._until, now + seconds)
        self.on_change()

    def go_on(self) -> None:
        """Once for each `hold`; with the last one it goes on."""
        self._holds -= 1
        if not self._holds:
            self.start()
            assert self._end is not None
            self._end += min(time.monotonic(), self._until) - self._since
            self._until = 0.0
            self.on_change()

    def left(self) -> float:
        """Seconds; negative when it has passed."""
        self.start()
        assert self._end is not None
        now = time.monotonic()
        held = min(now, self._until) - self._since if self._holds else 0.0
        return min(self._end + held, self._latest) - now

    def longest(self) -> float:
        """Seconds until it has passed, if it stands still for as long as it may."""
        self.start()
        assert self._end is not None
        held = self._until - self._since if self._holds else 0.0
        return min(self._end + held, self._latest) - time.monotonic()


def deadline_from(header: str | None, longest: float) -> Deadline:
    """The deadline of a request whose X-Request-Timeout is `header`: at most `longest` seconds, as without a header.

    Raises InvalidValue for anything but a positive decimal number.
    """
    if header is None:
        return Deadline(longest)
    seconds = float(header) if _SECONDS.fullmatch(header) else 0
    if not seconds:
        raise errors.InvalidValue(
            "X-Request-Timeout must be a number of seconds, more than 0.", param="X-Request-Timeout"
        )
    return Deadline(min(seconds, longest), callers=True)


# How the clients of a path read an error, beside the usual `object`: its message is the member `error` (`text`), and
# its status the member `code` (`numbered`); or it stands in an object of the type `error` (`enveloped`).
ErrorShape = Literal["object", "text", "numbered", "enveloped"]


@dataclass(slots=True)
class RequestInfo:
    """What the access log says of a request beside its path and status, which handlers fill in; and what the edge knows
    of it.

    `client` is whose key it carries, by a name that does not tell the key; empty where none is asked for. `private` is
    a part of the path that is not written down. `hold` counts bytes that the request holds beside its body, and returns
    the error of those that find no room.
    """

    model: str | None = None
    answers: int = 0
    cached: int = 0  # of the answers
    error: str | None = None  # its code
    error_shape: ErrorShape = "object"
    client: str = ""
    private: str = ""
    hold: Callable[[int], errors.LookseeError | None] | None = None


DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
REQUEST_INFO: ContextVar[RequestInfo | None] = ContextVar("request_info", default=None)


@contextmanager
def request_scope(request_id: str) -> Iterator[RequestInfo]:
    """Set the context variables for one request, without a deadline yet, and reset them at the end."""
    info = RequestInfo()
    id_token, info_token, deadline_token = REQUEST_ID.set(request_id), REQUEST_INFO.set(info), DEADLINE.set(None)
    try:
        yield info
    finally:
        DEADLINE.reset(deadline_token)
        REQUEST_INFO.reset(info_token)
        REQUEST_ID.reset(id_token)
