"""Proxies of runners on other hosts: JSON over HTTP, with the key, and with connections that do not outlive theirs."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlsplit

from _bentoml_impl.client.proxy2 import AsyncClient
from _bentoml_sdk import Service
from aiohttp import ClientSession, ClientTimeout

from looksee.gateway.runners.replica import Reach, contact

_CALL_SECONDS = 86400.0  # for a call: its jobs have deadlines of their own
_CONNECT_SECONDS = 2.0
_KEEP_ALIVE = 2.0  # seconds; a runner closes connections that were idle for five, and one in between is lost
_PORTS = {"http": 80, "https": 443}


class RemoteRunner:
    """What BentoML's proxy of a runner on this machine is, for one at a checked address: `to_async` has its methods."""

    def __init__(self, service: Service[Any], url: str, key: str) -> None:
        # Without BentoML's own proxy: its timeout is for a whole call, connecting included.
        client: Any = AsyncClient(url, media_type="application/json", service=service, server_ready_timeout=0)
        client._setup_endpoints()
        self.to_async = client
        sessions = client._session_manager
        # One session for all time: BentoML would close it, with the calls under way, every 100 requests.
        sessions.max_age = sessions.max_requests = float("inf")
        sessions._timeout = ClientTimeout(total=_CALL_SECONDS, sock_connect=_CONNECT_SECONDS)
        sessions._headers = {**sessions._headers, **_authorization(key)}
        original = sessions._make_client

        def make_client() -> ClientSession:
            session: ClientSession = original()
            assert session.connector is not None
            session.connector._keepalive_timeout = _KEEP_ALIVE
            return session

        sessions._make_client = make_client

    async def close(self) -> None:
        """Close its connections."""
        await self.to_async.close()


def remote(service: Service[Any], url: str, key: str) -> tuple[RemoteRunner, Reach]:
    """The runner at a checked address, and what its host does with a connection."""
    parts = urlsplit(url)
    reach = functools.partial(contact, parts.hostname or "", parts.port or _PORTS[parts.scheme])
    return RemoteRunner(service, url, key), reach


def _authorization(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
