"""Servers on this machine to fetch from: one that plays a script for each path, and one that only counts callers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Script = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Listener:
    """`heard` has each request as it came; a script is an answer as it leaves, or plays one."""

    scripts: Mapping[str, Script]
    port: int = 0
    heard: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)  # a request is here
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # a caller closed the connection under a script

    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heard.append(request)
            self.came.set()
            script = self.scripts[request.split(" ")[1]]
            if isinstance(script, bytes):
                writer.write(script)
                await writer.drain()
            else:
                playing = asyncio.ensure_future(script(writer))
                leaving = asyncio.ensure_future(reader.read(1))
                await asyncio.wait((playing, leaving), return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    self.gone.set()
                for task in (playing, leaving):
                    task.cancel()
                await asyncio.gather(playing, leaving, return_exceptions=True)
        writer.transport.abort()


@asynccontextmanager
async def listening(scripts: Mapping[str, Script], tls: ssl.SSLContext | None) -> AsyncIterator[Listener]:
    listener = Listener(scripts)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0, ssl=tls)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*listener.serving)


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """An answer; its length is told unless a header tells another."""
    told = any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers)
    lines = [f"HTTP/1.1 {status}", *headers, *([] if told else [f"Content-Length: {len(body)}"]), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


@contextlib.contextmanager
def counting() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine, over IPv4 and IPv6, and who connected to it."""
    callers: list[str] = []
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port: int = first.getsockname()[1]
        doors = [first]
        if socket.has_ipv6:
            doors.append(stack.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6)))

        def accept(door: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, caller = door.accept()
                    callers.append(caller[0])
                    connection.close()

        threads = [threading.Thread(target=accept, args=(door,)) for door in doors]
        for thread in threads:
            thread.start()
        try:
            yield port, callers
        finally:
            for door in doors:
                with contextlib.suppress(OSError):
                    door.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
