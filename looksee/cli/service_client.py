"""A running service, as the command line talks to it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import click

from looksee.cli.names import shown

_BUSY = (429, 503)
_TRIES = 10  # of a request that the service has no room for
_CONNECT_SECONDS = 10.0
_SPACE = re.compile(r"\s")


class ServiceError(click.ClickException):
    """What went wrong between us and the service, in a sentence; `code` is the service's own name of it."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ServiceAway(ServiceError):
    """The service is not there, or has no room: later it may answer."""


class ServiceClient:
    """One at `url`, asked with `key` where it wants one."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, _address(url)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> str:
        """The answer's text. Raises ServiceError."""
        try:
            async with self._session.get(f"{self._url}{path}", headers=headers) as response:
                if response.status != 200:
                    raise await _refusal(response)
                return await response.text()
        except aiohttp.InvalidURL:
            raise ServiceError(f"'{shown(self._url)}' is not the address of a service.") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise ServiceAway(f"There is no service at {self._url}, or it broke off.") from None

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer. Raises ServiceError."""
        async with self._sent(path, body) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def batch(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The lines of a batch's items as they come. Raises ServiceError, also when they end too early."""
        unread = b""
        async with self._sent("/v1/batch", body) as response:
            async for chunk in response.content.iter_any():
                *lines, unread = (unread + chunk).split(b"\n")
                for line in map(json.loads, lines):
                    if line.get("done"):
                        return
                    yield line
        raise ServiceAway(f"{self._url} broke off its answer.")

    @asynccontextmanager
    async def _sent(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        content = await asyncio.to_thread(lambda: json.dumps(body).encode())
        headers = {"Content-Type": "application/json"}
        try:
            for tried in range(_TRIES):
                async with self._session.post(f"{self._url}{path}", data=content, headers=headers) as response:
                    if response.status == 200:
                        yield response
                        return
                    if response.status not in _BUSY or tried == _TRIES - 1:
                        raise await _refusal(response)
                    wait = response.headers.get("Retry-After", "")
                await asyncio.sleep(int(wait) if wait.isdigit() else 1)
        except aiohttp.InvalidURL:
            raise ServiceError(f"'{shown(self._url)}' is not the address of a service.") from None
        except aiohttp.ClientConnectorError:
            raise ServiceAway(
                f"There is no service at {self._url}. Start one with `make serve`, or name another with --url."
            ) from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise ServiceAway(f"{self._url} does not answer as a Looksee does, or broke off.") from None


@asynccontextmanager
async def connected(url: str, key: str) -> AsyncIterator[ServiceClient]:
    """The service at an address. Nothing is sent yet."""
    # Answers take as long as they take: the service keeps the deadlines.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
    headers = {"X-API-Key": key} if key else None
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield ServiceClient(session, url)


def _address(url: str) -> str:
    """An address of a service; of `localhost:3000` too, where http is meant. Raises ServiceError."""
    found = url.strip()
    if "://" not in found:
        found = f"http://{found}"
    try:
        parts = urlsplit(found)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not _SPACE.search(found)
    except ValueError:  # of brackets and of the port
        good = False
    if not good:
        raise ServiceError(f"'{shown(url)}' is not the address of a service, like http://localhost:3000.")
    return found.rstrip("/")


async def _refusal(response: aiohttp.ClientResponse) -> ServiceError:
    kind = ServiceAway if response.status in _BUSY else ServiceError
    try:
        content = json.loads(await response.read())
        return kind(str(content["detail"]), str(content["error"]["code"]))
    except (ValueError, KeyError, TypeError):
        return kind(f"{response.url.origin()} answered with status {response.status}.")
