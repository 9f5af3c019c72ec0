"""A server in the place of Redis: one that is slow, says nonsense, or never says anything."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

Reply = Callable[[bytes], bytes]


def slow(data: bytes) -> bytes:
    time.sleep(1.0)
    return b"$-1\r\n"


def garbage(data: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" + bytes(range(256))


def wrong_kind(data: bytes) -> bytes:
    """Well formed, and no answer to what was asked."""
    return b"*3\r\n:1\r\n$3\r\nabc\r\n*1\r\n+OK\r\n" * data.count(b"*")


@contextlib.contextmanager
def pretending(port: int, reply: Reply) -> Iterator[None]:
    """Answer whatever comes to `port` of this machine with `reply` of it."""

    callers: list[socket.socket] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            callers.append(self.request)
            with contextlib.suppress(OSError):
                while data := self.request.recv(65536):
                    self.request.sendall(reply(data))

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            pass  # a client that hangs up

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            for caller in callers:  # else they would be answered on
                with contextlib.suppress(OSError):
                    caller.shutdown(socket.SHUT_RDWR)
