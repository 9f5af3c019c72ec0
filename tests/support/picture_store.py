"""An HTTP server with pictures, on this machine, for services to fetch them from."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Store:
    """`asked` grows: the path of each request."""

    url: str
    port: int
    asked: list[str]


@contextlib.contextmanager
def storing(files: Mapping[str, bytes], tls: ssl.SSLContext | None = None) -> Iterator[Store]:
    """A server of `files` by their path; everything else is 404."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a caller that hangs up, or does not trust us

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        port = server.server_port
        try:
            yield Store(f"{'https' if tls else 'http'}://localhost:{port}", port, asked)
        finally:
            server.shutdown()
            thread.join()
