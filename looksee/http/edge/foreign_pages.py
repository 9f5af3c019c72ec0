"""Requests that pages of other origins have a browser send.

A page may send simple requests anywhere without asking first (text/plain, forms, `no-cors`). It cannot read the answer,
but the work would be done: a model loaded, the cache cleared where DEBUG is set, an address fetched. Browsers say where
such a request comes from, in headers that no page can set; programs send neither and pass.

A page whose name leads here all of a sudden (DNS rebinding) is of the same origin as what it asks, and nothing in its
headers tells it from the own page but the name. Only a name that somebody can register can be made to do that, and not
over TLS, whose certificate it lacks. So what comes to this machine's own address over plain http, from a page with such
a name, is refused unless the name is among the origins. What comes over a network is not: there the own page may have
any name, and whoever can rebind to it can reach it in other ways too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers

from looksee.core import errors

_OWN = ("same-origin", "none")  # none: the user typed the address, or opened a bookmark
# Where a proxy tells the host that the browser named. A foreign page cannot send it without asking first.
_HOSTS = ("host", "x-forwarded-host")
# Names that nobody can register: of this machine, and by RFC 6761, 6762, 8375 and ICANN of local networks.
_OF_NOBODY = ("localhost", "local", "test", "internal", "home.arpa", "lan", "home", "corp")


class ForeignPages:
    """Refuses the requests of pages whose origin is not one of `origins`; `*` among them allows any."""

    def __init__(self, origins: Sequence[str] = ()) -> None:
        self._origins = frozenset(origins)

    def check(self, headers: Headers, reached: Sequence[object] | None = None) -> None:
        """`reached` is the address of this machine that the request came to, as in ASGI's `server`. Raises
        ForeignOrigin.
        """
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if (site is None and origin is None) or "*" in self._origins or origin in self._origins:
            return
        if site in _OWN or (site is None and origin is not None and _is_own(origin, headers)):
            if origin is not None and _may_be_rebound(origin) and _is_loopback(reached):
                raise errors.ForeignOrigin(
                    "A page under this name may have been led here from elsewhere: open the page as localhost, or name "
                    "its origin in LOOKSEE_ALLOWED_ORIGINS.",
                    param="Origin",
                )
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


def _may_be_rebound(origin: str) -> bool:
    """Whether the owner of a name could let it lead anywhere, with nothing that vouches for it."""
    scheme, _, host = origin.lower().partition("://")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.rstrip(".")
    if scheme != "http" or "." not in name or _is_address(name):
        return False
    return not any(name.endswith(f".{ending}") for ending in _OF_NOBODY)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _is_loopback(reached: Sequence[object] | None) -> bool:
    try:
        address = ipaddress.ip_address("" if reached is None else str(reached[0]))
    except ValueError:
        return False  # a socket's path
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
