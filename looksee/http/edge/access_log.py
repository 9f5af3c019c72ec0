"""The access log: one line for each request, with what it was and what became of it.

Never what was asked or shown, nor a key: the address of a request is told without its query, and an unknown one not at
all, since anything may stand in it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from looksee.core.logs import Fields
from looksee.http.context import RequestInfo
from looksee.http.edge.auth import is_open

logger = logging.getLogger("looksee.access")

_LONGEST_METHOD = 10  # characters: a client may invent methods


@dataclass(slots=True)
class Traffic:
    """What went over a request's connection; `status` 0: nothing was answered."""

    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


def write(method: str, path: str | None, traffic: Traffic, facts: RequestInfo, seconds: float) -> None:
    """Log a request. What anybody may have and got (the page, probes) is told at the level DEBUG.

    `path` is None for an address that does not exist.
    """
    level = logging.DEBUG if path is not None and is_open(path) and traffic.status < 400 else logging.INFO
    if not logger.isEnabledFor(level):
        return
    method, milliseconds = method[:_LONGEST_METHOD], round(seconds * 1000, 1)
    told = [method, path or "(unknown)", str(traffic.status), f"{milliseconds} ms"]
    told.append(f"in={traffic.bytes_in} out={traffic.bytes_out}")
    told += [f"model={facts.model} cached={facts.cached}/{facts.answers}"] if facts.model else []
    told += [f"error={facts.error}"] if facts.error else []
    fields = Fields(
        " ".join(told),
        method=method,
        path=path,
        status=traffic.status,
        ms=milliseconds,
        bytes_in=traffic.bytes_in,
        bytes_out=traffic.bytes_out,
    )
    if facts.model:
        fields |= {"model": facts.model, "answers": facts.answers, "cached": facts.cached}
    if facts.error:
        fields["error"] = facts.error
    logger.log(level, fields)
