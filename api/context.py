"""What belongs to the request at hand: its id, known to every layer below the door."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

_SANE = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def request_id_from(header: str | None) -> str:
    """The caller's id if it is short and plain, else a new one."""
    return header if header and _SANE.fullmatch(header) else secrets.token_hex(12)
