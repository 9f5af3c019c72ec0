"""The access log: one line for each request, with its path, status, sizes and time.

It holds no prompt, no picture and no key: a path is logged without its query, and an unknown path not at all, since it
may contain anything.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from looksee.core.logs import Fields
from looksee.http.request_info import RequestInfo

logger = logging.getLogger("looksee.access")

_LONGEST_METHOD = 10  # characters: a client may invent methods


@dataclass(slots=True)
class Traffic:
    """Bytes of a request's body and of its answer; `status` 0: nothing was sent."""

    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


def write(method: str, path: str | None, traffic: Traffic, info: RequestInfo, seconds: float, *, is_open: bool) -> None:
    """Log a request. A successful one for an open path (the page, probes) has the level DEBUG.

    `path` is None where there is no route.
    """
    level = logging.DEBUG if is_open and traffic.status < 400 else logging.INFO
    if not logger.isEnabledFor(level):
        return
    method, milliseconds = method[:_LONGEST_METHOD], round(seconds * 1000, 1)
    words = [method, path or "(unknown)", str(traffic.status), f"{milliseconds} ms"]
    words.append(f"in={traffic.bytes_in} out={traffic.bytes_out}")
    words += [f"model={info.model} cached={info.cached}/{info.answers}"] if info.model else []
    words += [f"error={info.error}"] if info.error else []
    fields = Fields(
        " ".join(words),
        method=method,
        path=path,
        status=traffic.status,
        ms=milliseconds,
        bytes_in=traffic.bytes_in,
        bytes_out=traffic.bytes_out,
    )
    if info.model:
        fields |= {"model": info.model, "answers": info.answers, "cached": info.cached}
    if info.error:
        fields["error"] = info.error
    logger.log(level, fields)
