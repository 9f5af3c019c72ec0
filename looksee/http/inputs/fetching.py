"""Pictures from the web: over https with the certificate verified, from exactly the IP addresses that were checked,
with limits on time and size.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from looksee.core import errors
from looksee.core.addresses import Address, Allowlist, IpAddress
from looksee.core.image_formats import FORMATS
from looksee.core.images import mib
from looksee.http.error_sentences import raised
from looksee.settings import Settings
from looksee.version import VERSION

logger = logging.getLogger("looksee.api")

# What a host's name resolves to, on a port, as numbers; it may block, and raises OSError.
Resolve = Callable[[str, int], Sequence[str]]

_AT_ONCE = 8  # fetches of a process: each may hold a picture's bytes
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3
_CHUNK = 64 * 2**10
_HEADERS = {
    "User-Agent": f"Looksee/{VERSION}",
    "Accept": ", ".join(one.media_type for one in FORMATS.values()),
    "Accept-Encoding": "identity",  # a few compressed bytes can become any number
}


class Fetcher:
    """Fetches what an allowlist admits. One for a process: it bounds how much is fetched at the same time."""

    def __init__(
        self,
        allowlist: Allowlist,
        *,
        max_bytes: int,
        timeout: float,
        resolve: Resolve | None = None,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        """`max_bytes`: of a file. `timeout`: seconds from the name's look-up to the last byte, redirects and all."""
        self._allowlist, self._max_bytes, self._timeout = allowlist, max_bytes, timeout
        self._resolve = resolve or _resolved
        # A separate pool: a name server that hangs must not block the threads that examine pictures.
        self._threads = ThreadPoolExecutor(_AT_ONCE, "resolve")
        self._tls = functools.cache(tls)  # reading the system's certificates takes long, and is done in a thread
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @classmethod
    def of(cls, settings: Settings) -> Fetcher:
        """The process's fetcher for these settings."""
        hosts, networks = settings.image_url_hosts, settings.image_url_networks
        return _fetcher(hosts, networks, settings.max_file_bytes, settings.image_url_timeout_seconds)

    async def fetch(self, url: str, *, param: str) -> bytes:
        """The file at `url`.

        Raises ImageUrlNotAllowed, ImageNotFetched (the same for whatever went wrong), FileTooLarge, or Overloaded when
        too many others are being fetched.
        """
        address = self._allowlist.admit(url, param=param)
        async with self._slot():
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._get(address, param)
            except errors.FileTooLarge:
                raise
            except Exception as error:  # a hostile server can make the client raise nearly anything
                logger.info("no picture from %s: %s", address.host, _reason(error))
                raise errors.ImageNotFetched(
                    "The picture could not be fetched: its address must answer 200, with all of it, within "
                    f"{self._timeout:g} seconds, and lead to no other host.",
                    param=param,
                ) from error

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                await self._slots.acquire()
        except TimeoutError as error:
            raise errors.Overloaded(
                "Too many pictures are being fetched; try again later, or send the picture itself.",
                retry_after=math.ceil(self._timeout),
            ) from error
        try:
            yield
        finally:
            self._slots.release()

    async def _get(self, address: Address, param: str) -> bytes:
        loop = asyncio.get_running_loop()
        names = await loop.run_in_executor(self._threads, self._resolve, address.host, address.port)
        found = [ip_address(name) for name in names]
        if not self._allowlist.reaches(address, found):
            raise _Refused("its name resolves to an address that is not allowed")
        tls = await loop.run_in_executor(self._threads, self._tls)
        connector = aiohttp.TCPConnector(resolver=_Pinned(found), use_dns_cache=False, ssl=tls, force_close=True)
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # no proxy and no password out of the environment
            auto_decompress=False,
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeout / 2, sock_read=self._timeout / 2),
        ) as session:
            for _ in range(_MOST_REDIRECTS + 1):
                async with session.get(URL(address.url, encoded=True), allow_redirects=False) as answer:
                    if answer.status not in _REDIRECTS:
                        return await self._body(answer, param)
                    address = _redirected(address, answer)
        raise _Refused("more redirects than are followed")

    async def _body(self, answer: aiohttp.ClientResponse, param: str) -> bytes:
        if answer.status != 200:
            raise _Refused(f"status {answer.status}")
        if (answer.content_length or 0) > self._max_bytes:
            raise self._too_large(param)
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large(param)
        return bytes(body)

    def _too_large(self, param: str) -> errors.FileTooLarge:
        return errors.FileTooLarge(
            f"The file has more than {mib(self._max_bytes)}{raised('MAX_CONTENT_LENGTH')}.", param=param
        )


class _Refused(Exception):
    """Why nothing is fetched, for the log."""


class _Pinned(AbstractResolver):
    """Answers with addresses that have been checked, whatever the name resolves to by now."""

    def __init__(self, found: Sequence[IpAddress]) -> None:
        self._found = found

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(ip),
                port=port,
                family=socket.AF_INET6 if isinstance(ip, IPv6Address) else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for ip in self._found
        ]

    async def close(self) -> None:
        """Nothing to close."""


@functools.cache
def _fetcher(hosts: str, networks: str, max_bytes: int, timeout: float) -> Fetcher:
    return Fetcher(Allowlist.parse(hosts, networks), max_bytes=max_bytes, timeout=timeout)


def _resolved(host: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _redirected(address: Address, answer: aiohttp.ClientResponse) -> Address:
    found = address.redirected(answer.headers.get("Location", ""))
    if found is None:
        raise _Refused("it leads elsewhere")
    return found


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, _Refused) else type(error).__name__
