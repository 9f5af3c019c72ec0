"""Requests that pages of other origins have a browser send.

A page may send simple requests anywhere without asking first (text/plain, forms, `no-cors`). It cannot read the answer,
but the work would be done: a model loaded, the cache cleared where DEBUG is set, an address fetched. Browsers say where
such a request comes from, in headers that no page can set; programs send neither and pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers

from looksee.core import errors

_OWN = ("same-origin", "none")  # none: the user typed the address, or opened a bookmark
# Where a proxy tells the host that the browser named. A foreign page cannot send it without asking first.
_HOSTS = ("host", "x-forwarded-host")


class ForeignPages:
    """Refuses the requests of pages whose origin is not one of `origins`; `*` among them allows any."""

    def __init__(self, origins: Sequence[str] = ()) -> None:
        self._origins = frozenset(origins)

    def check(self, headers: Headers) -> None:
        """Raises ForeignOrigin."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if (site is None and origin is None) or "*" in self._origins or origin in self._origins:
            return
        if site in _OWN or (site is None and origin is not None and _is_own(origin, headers)):
            return
        raise errors.ForeignOrigin(
            "The page that sends this is of another origin, and LOOKSEE_ALLOWED_ORIGINS does not name it.",
            param="Origin",
        )


def _is_own(origin: str, headers: Headers) -> bool:
    """Whether a page comes from the host that it asks. Browsers without Sec-Fetch-Site, and every browser on plain
    http, tell the origin alone. Its scheme is not compared: behind a proxy this service does not know its own.
    """
    host = origin.partition("://")[2].lower()
    named = (one.strip().lower() for name in _HOSTS for value in headers.getlist(name) for one in value.split(","))
    return bool(host) and host in named
