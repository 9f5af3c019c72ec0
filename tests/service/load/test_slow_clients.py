"""Thousands of connections, and clients that send slowly, without end or not at all: memory stays, and others are
answered. How long each of them may go on is tested with the edge; here they come to the real gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from tests.faults.callers import drawn
from tests.faults.test_failures import captions, healthy
from tests.support.serving import PATIENCE, Service

CONNECTIONS = 2000
MIB = 2**20
OF_CONNECTION = 48 * 1024  # bytes of the gateway's memory that each may take
HEAD = b"POST /caption HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module", autouse=True)
def _many_files() -> Iterator[None]:
    """This process needs a file descriptor for each connection too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(CONNECTIONS + 2000, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def gateway(service: Service) -> psutil.Process:
    """Its process, once it has answered what a test asks."""
    assert healthy(asyncio.run(captions(service.url, drawn("slow-clients", 2), 2)), 2)
    (process,) = service.processes("Looksee")
    return process


class Peak:
    """The most memory that a process took while the block ran, and what it took before; bytes."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.before = self.most = process.memory_info().rss

    async def look(self) -> None:
        while True:
            self.most = max(self.most, self._process.memory_info().rss)
            await asyncio.sleep(0.05)

    @property
    def grown(self) -> int:
        return self.most - self.before


@asynccontextmanager
async def watched(process: psutil.Process) -> AsyncIterator[Peak]:
    peak = Peak(process)
    work = asyncio.create_task(peak.look())
    try:
        yield peak
    finally:
        work.cancel()


@asynccontextmanager
async def connections(service: Service, count: int, sent: bytes) -> AsyncIterator[list[Streams]]:
    """So many, each of which has sent that."""
    address = urlsplit(service.url)
    opened: list[Streams] = []

    async def connect() -> None:
        async with asyncio.timeout(PATIENCE):
            streams = await asyncio.open_connection(address.hostname, address.port)
        opened.append(streams)
        streams[1].write(sent)

    try:
        for first in range(0, count, 200):
            await asyncio.gather(*(connect() for _ in range(min(200, count - first))))
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def answered(service: Service, name: str) -> list[float]:
    """Captions and probes beside what goes on: all are answered. The probes' seconds."""
    work = asyncio.create_task(captions(service.url, drawn(name, 8), 4))
    times: list[float] = []
    async with aiohttp.ClientSession() as session:
        while not work.done() or len(times) < 50:
            began = time.perf_counter()
            async with session.get(f"{service.url}/healthz") as answer:
                assert answer.status == 200
            times.append(time.perf_counter() - began)
    assert healthy(await work, 8)
    return sorted(times)


def told(what: str, peak: Peak, times: list[float]) -> None:
    """The figures, for who runs this with -s."""
    p99 = times[int(0.99 * (len(times) - 1))]
    print(f"\n{what}: {peak.grown / MIB:+.1f} MiB, /healthz p50 {times[len(times) // 2]:.3f} s, p99 {p99:.3f} s")


def files_of(process: psutil.Process) -> int:
    return process.num_fds()


async def settled(process: psutil.Process, most: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while files_of(process) > most:  # noqa: ASYNC110 (of another process)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "sent",
    [b"", HEAD, HEAD + b"Content-Length: 100000\r\n\r\n{", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
    ids=["nothing", "a part of the head", "a part of the body", "a part of a chunked body"],
)
def test_two_thousand_connections(service: Service, gateway: psutil.Process, sent: bytes) -> None:
    files = files_of(gateway)

    async def main() -> None:
        async with watched(gateway) as peak:
            async with connections(service, CONNECTIONS, sent):
                async with asyncio.timeout(PATIENCE):
                    while files_of(gateway) < CONNECTIONS:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                times = await answered(service, f"beside-{len(sent)}")
            told(f"{CONNECTIONS} connections with {len(sent)} bytes", peak, times)
            assert peak.grown < CONNECTIONS * OF_CONNECTION
        await settled(gateway, files + 20)

    asyncio.run(main())


def test_bodies_without_end(service: Service, gateway: psutil.Process) -> None:
    """They end where a request has too many bytes, and are answered; each takes that much memory at most, twice."""
    piece = b"10000\r\n" + b"a" * 2**16 + b"\r\n"

    async def endless(streams: Streams) -> bytes:
        reader, writer = streams
        answer = asyncio.create_task(reader.readline())
        with contextlib.suppress(ConnectionError):
            for _ in range(2 * 64 * 16):
                if answer.done():
                    break
                writer.write(piece)
                await writer.drain()
        return await answer

    async def main() -> None:
        begun = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b'2\r\n{"\r\n'
        async with watched(gateway) as peak, connections(service, 3, begun) as opened:
            work = asyncio.gather(*map(endless, opened))
            times = await answered(service, "endless")
            assert {line.split()[1] for line in await work} == {b"413"}
            told("3 bodies without end", peak, times)
            assert peak.grown < 3 * 2 * 64 * MIB + 32 * MIB

    asyncio.run(main())


def test_requests_of_32_large_files(service: Service, gateway: psutil.Process) -> None:
    files = drawn("large-files", 32)

    async def ask(session: aiohttp.ClientSession) -> int:
        form = aiohttp.FormData()
        for number, (data, _) in enumerate(files):
            form.add_field("images", io.BytesIO(data + bytes(1900 * 1024)), filename=f"{number}.png")
        async with session.post(f"{service.url}/api/caption-images?model=blip", data=form) as answer:
            results = (await answer.json())["results"]
        wanted = [caption for _, caption in files]
        return sum(one["caption"] == caption for one, caption in zip(results, wanted, strict=True))

    async def main() -> None:
        async with watched(gateway) as peak, aiohttp.ClientSession() as session:
            work = asyncio.gather(*(ask(session) for _ in range(3)))
            times = await answered(service, "beside-large-files")
            assert min(await work) >= 29
            told("3 requests of 32 files, 60 MiB each", peak, times)
            assert peak.grown < 3 * 3 * 61 * MIB

    asyncio.run(main())


def test_callers_that_leave_while_they_send(service: Service, gateway: psutil.Process) -> None:
    files, rows = files_of(gateway), service.metric("looksee_prefill_rows_sum")
    picture = drawn("leaves", 1)[0][0]
    head = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
    begun = b"POST /api/caption-images?model=blip HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n"
    begun += b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + head + picture + bytes(2**21)

    async def main() -> None:
        async with watched(gateway) as peak:
            for _ in range(5):
                async with connections(service, 30, begun) as opened:
                    await asyncio.gather(*(writer.drain() for _, writer in opened))
            times = await answered(service, "leavers")
            told("150 callers that leave", peak, times)
            await settled(gateway, files + 20)
            assert peak.grown < 30 * 2 * 4 * MIB

    asyncio.run(main())
    assert service.metric("looksee_prefill_rows_sum") - rows <= 8
