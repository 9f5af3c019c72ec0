"""A Redis server for a test, and servers that only look like one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

from cache.breaker import CircuitBreaker
from deploy.redis_server import executable


class RedisServer:
    """A Redis on a Unix socket in a folder of its own; may be stopped and started again, and forgets all then.

    As a context manager it is started, and closed at the end.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="looksee-"))  # short: a socket's path has at most 107 bytes
        self.socket = self._folder / "s"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        command = [
            executable(),
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
                line.connect(str(self.socket))
                return
            time.sleep(0.01)
        raise RuntimeError("Redis did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)


class WatchedBreaker(CircuitBreaker):
    """A breaker that remembers what it was told, by a clock that stands unless it is given another."""

    def __init__(self, *, failures: int = 3, clock: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__(failures=failures, clock=clock)
        self.events: list[str] = []

    def allow(self) -> bool:
        allowed = super().allow()
        self.events.append("allowed" if allowed else "kept away")
        return allowed

    def failed(self) -> None:
        self.events.append("failed")
        super().failed()


@contextlib.asynccontextmanager
async def impostor(answer: Callable[[bytes], bytes | None], *, seconds: float = 0.0) -> AsyncIterator[str]:
    """The URL of a TCP server that answers what it reads with `answer` of it, or never for None.

    With `seconds` it answers command by command, and takes so long for each.
    """
    served: list[tuple[asyncio.StreamWriter, asyncio.Task[object] | None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append((writer, asyncio.current_task()))
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                reply = answer(data)
                commands = sum(line.startswith(b"*") for line in data.split(b"\r\n")) if seconds else 1
                for _ in range(commands):
                    await asyncio.sleep(seconds)
                    if reply is None or writer.is_closing():
                        break
                    writer.write(reply)
                    await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        for writer, _ in served:
            writer.close()
        await asyncio.gather(*(task for _, task in served if task is not None))
        await server.wait_closed()


def unused_url() -> str:
    """A URL at which no server listens."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{line.getsockname()[1]}/0"
