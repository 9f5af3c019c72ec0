"""Access control: keys and rate limits, decided before a request's body is read."""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

from looksee.core import errors
from looksee.http.edge.access.api_keys import ApiKeys, presented
from looksee.http.edge.access.rate_limit import RateLimit
from looksee.http.edge.route_table import METRICS, RouteTable

_WORKING = ("POST", "PUT")  # the methods of all model routes, and of pictures that are kept


class AccessControl:
    """Empty keys admit every request; without a `rate` there is no limit."""

    def __init__(self, clients: ApiKeys, metrics: ApiKeys, rate: RateLimit | None = None) -> None:
        self._clients, self._metrics, self._rate = clients, metrics, rate

    async def admit(self, scope: Scope, headers: Headers, routes: RouteTable, answer_headers: dict[str, str]) -> str:
        """Return for a request that is admitted, else raise MissingKey, WrongKey or RateLimited. Adds what the caller
        has to know to `answer_headers`.

        Returns which client's key it carries, by a name that does not tell it; empty where none is needed.
        """
        path: str = scope["path"]
        if path == METRICS:
            _holder(self._metrics, headers, answer_headers)
        if not routes.needs_client_key(path):
            return ""
        client = _holder(self._clients, headers, answer_headers)
        if self._rate is not None and scope["method"] in _WORKING:
            await self._rate.take(client or _network(scope), answer_headers)
        return client or ""


def _holder(keys: ApiKeys, headers: Headers, answer_headers: dict[str, str]) -> str | None:
    """Which of the keys a request carries, by a name that does not tell it; None where none is needed."""
    if not keys:
        return None
    given = presented(headers)
    if not given:
        answer_headers["WWW-Authenticate"] = "Bearer"
        raise errors.MissingKey("Send a key of this service, in X-API-Key or as Authorization: Bearer.")
    holder = keys.holder(given)
    if holder is None:
        raise errors.WrongKey("The key is not one of this service's.")
    return holder


def _network(scope: Scope) -> str:
    """The client's address; of an IPv6 address the /64, since one machine usually has all of it."""
    host = (scope.get("client") or ("local",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
