"""Who may ask for what, decided before anything of a request's body is read.

Whatever is not named here asks for a client's key, so that a new route cannot be forgotten.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

from looksee.core import errors
from looksee.http.dialects.pages import OPEN
from looksee.http.edge.api_keys import ApiKeys, presented
from looksee.http.edge.rate_limit import RateLimit

_METRICS = "/metrics"
_ADMIN = "/api/admin/"  # asks for API_KEY itself: `looksee.http.dialects.admin`


def is_open(path: str) -> bool:
    """Whether anybody may have it: the page, the documents, health."""
    return path in OPEN


def takes_client_keys(path: str) -> bool:
    """Whether a client's key is what it asks for."""
    return not is_open(path) and not path.startswith(_ADMIN) and path != _METRICS


class AccessControl:
    """Falsy keys: open to all. No `rate`: no limit."""

    def __init__(self, clients: ApiKeys, metrics: ApiKeys, rate: RateLimit | None = None) -> None:
        self._clients, self._metrics, self._rate = clients, metrics, rate

    async def admit(self, scope: Scope, headers: Headers, told: dict[str, str]) -> None:
        """Let a request pass, or raise MissingKey, WrongKey or RateLimited. `told` gets headers for its answer."""
        path: str = scope["path"]
        if path == _METRICS:
            _holder(self._metrics, headers, told)
        if not takes_client_keys(path):
            return
        client = _holder(self._clients, headers, told) or _address(scope)
        if self._rate is not None and scope["method"] == "POST":  # what is asked of a model is posted
            await self._rate.take(client, told)


def _holder(keys: ApiKeys, headers: Headers, told: dict[str, str]) -> str | None:
    """Whose key a request carries; None where none is needed."""
    if not keys:
        return None
    given = presented(headers)
    if not given:
        told["WWW-Authenticate"] = "Bearer"
        raise errors.MissingKey("Send a key of this service, in X-API-Key or as Authorization: Bearer.")
    holder = keys.holder(given)
    if holder is None:
        raise errors.WrongKey("The key is not one of this service's.")
    return holder


def _address(scope: Scope) -> str:
    """The network that a client calls from: an address, or 64 bits of one where a single machine has all that."""
    host = (scope.get("client") or ("local",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
