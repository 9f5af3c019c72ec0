"""What a client may do with a connection: each wait for it ends, and none that it does not cause."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from looksee.http.edge import connection
from looksee.http.edge.connection import HEAD_BYTES, BoundedConnection
from tests.support.loops import run

SHORT = 0.2  # seconds of a bound that is to be met
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/` answers without reading, `/late` after three times the bound, `/large` 16 MiB, `/echo` what was sent."""
    body = b"fine"
    if scope["path"] == "/late":
        await asyncio.sleep(3 * SHORT)
    elif scope["path"] == "/large":
        body = bytes(2**24)
    elif scope["path"] == "/echo":
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def listening(**bounds: float) -> AsyncIterator[Connect]:
    """A server with these bounds short and the others as they are."""
    kind = type("Bounded", (BoundedConnection,), {f"{name}_seconds": seconds for name, seconds in bounds.items()})
    config = uvicorn.Config(app, http=kind, ws="none", loop="asyncio", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    opened: list[asyncio.StreamWriter] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])

        async def connect() -> Streams:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            opened.append(writer)
            return reader, writer

        try:
            yield connect
        finally:
            for writer in opened:
                writer.transport.abort()
            await server.shutdown(sockets=[listener])


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return int(head.split()[1]), await reader.readexactly(int(length.partition(b":")[2]))


async def repeat(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send a piece again and again until the server is tired of it."""
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(SHORT / 10)


async def end(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(2**16):
            found += piece
    return found


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "a word", "a header"])
def test_a_connection_without_a_request_is_closed(sent: bytes) -> None:
    async def main() -> None:
        async with listening(head=SHORT) as connect:
            reader, writer = await connect()
            writer.write(sent)
            assert await end(reader) == b""

    run(main())


@pytest.mark.parametrize("piece", [b"X-More: 1\r\n", b"\r\n"], ids=["headers without end", "empty lines"])
def test_bytes_now_and_then_do_not_keep_a_connection(piece: bytes) -> None:
    async def main() -> None:
        async with listening(head=SHORT) as connect:
            reader, writer = await connect()
            if piece == b"\r\n":
                writer.write(REQUEST)  # and behind it
                assert await answer(reader) == (200, b"fine")
            else:
                writer.write(b"GET / HTTP/1.1\r\n")
            work = asyncio.create_task(repeat(writer, piece))
            assert await end(reader) == b""
            work.cancel()

    run(main())


@pytest.mark.parametrize("head", [b"GET /?" + b"x" * 2 * HEAD_BYTES, b"GET / HTTP/1.1\r\nA: " + b"x" * 2 * HEAD_BYTES])
def test_a_head_that_is_too_long_is_told_so(head: bytes) -> None:
    async def main() -> None:
        async with listening() as connect:
            reader, writer = await connect()
            writer.write(head)
            status, body = await answer(reader)
            assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")
            assert await end(reader) == b""

    run(main())


@pytest.mark.parametrize("apart", [True, False], ids=["apart", "together"])
def test_a_body_is_no_part_of_a_head(apart: bool) -> None:
    async def main() -> None:
        async with listening() as connect:
            reader, writer = await connect()
            body = bytes(3 * HEAD_BYTES)
            for _ in range(3):
                head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
                if apart:
                    writer.write(head)
                    await writer.drain()
                    await asyncio.sleep(SHORT / 10)
                writer.write(body if apart else head + body)
                assert await answer(reader) == (200, body)

    run(main())


def test_what_is_no_request_gets_an_error_in_the_usual_shape() -> None:
    async def main() -> None:
        async with listening() as connect:
            reader, writer = await connect()
            writer.write(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
            status, body = await answer(reader)
            assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_request")
            assert await end(reader) == b""

    run(main())


def test_a_body_without_end_is_not_read_for_long_behind_its_answer() -> None:
    async def main() -> None:
        async with listening(linger=SHORT) as connect:
            reader, writer = await connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            work = asyncio.create_task(repeat(writer, b"4\r\nmore\r\n"))
            assert await answer(reader) == (200, b"fine")
            assert await end(reader) == b""
            work.cancel()

    run(main())


def test_a_client_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[BoundedConnection] = []
    original = BoundedConnection.connection_made

    def connection_made(self: BoundedConnection, transport: asyncio.BaseTransport) -> None:
        made.append(self)
        original(self, transport)

    monkeypatch.setattr(BoundedConnection, "connection_made", connection_made)

    async def main() -> None:
        async with listening(unread=SHORT) as connect:
            reader, writer = await connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            while not made or made[0] in made[0].connections:  # noqa: ASYNC110 (an event of the server's)
                await asyncio.sleep(SHORT / 10)
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert len(await end(reader)) < 2**24

    run(main())


def test_a_client_that_reads_slowly_gets_all() -> None:
    async def main() -> None:
        async with listening(unread=SHORT, head=SHORT) as connect:
            reader, writer = await connect()
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            found = 0
            while piece := await reader.read(2**18):
                found += len(piece)
                await asyncio.sleep(SHORT / 10)
            assert found > 2**24

    run(main())


def test_nobody_waits_less_for_an_answer() -> None:
    """The bounds are of the client's part: what the service takes is the deadline's to end."""

    async def main() -> None:
        async with listening(head=SHORT, linger=SHORT, unread=SHORT) as connect:
            reader, writer = await connect()
            for _ in range(2):
                writer.write(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
                await asyncio.sleep(SHORT / 10)
                writer.write(b"GET /late HT")  # a part of the next
                assert await answer(reader) == (200, b"fine")
                writer.write(b"TP/1.1\r\nHost: x\r\n\r\n")
                assert await answer(reader) == (200, b"fine")

    run(main())


def test_a_slow_body_is_the_edges_to_end() -> None:
    async def main() -> None:
        async with listening(head=SHORT, linger=SHORT, unread=SHORT) as connect:
            reader, writer = await connect()
            writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
            for byte in b"slow":
                await asyncio.sleep(SHORT)
                writer.write(bytes([byte]))
            assert await answer(reader) == (200, b"slow")

    run(main())


def test_uvicorn_takes_the_class() -> None:
    connection.bound_connections()
    config = uvicorn.Config(app, log_config=None)
    config.load()
    assert config.http_protocol_class is BoundedConnection
