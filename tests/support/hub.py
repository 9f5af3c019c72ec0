"""A hub for tests: a real HTTP server that speaks the Hugging Face hub's protocol as far as fetching needs it.

Repositories are made of files in memory. Large ones (`lfs`) are redirected to a second host name, as the hub does.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LARGE = (".safetensors", ".bin")


@dataclass
class Repository:
    """One repository at one commit; `branches` lead to it too. `opened_by` is the token that a gated one wants."""

    files: dict[str, bytes]
    commit: str
    branches: set[str] = field(default_factory=lambda: {"main"})
    opened_by: str | None = None
    claimed: dict[str, int] = field(default_factory=dict)  # sizes that are not true

    @classmethod
    def of(cls, directory: Path, commit: str) -> Repository:
        """A folder's files."""
        return cls({file.name: file.read_bytes() for file in directory.iterdir() if file.is_file()}, commit)

    def sha256(self, name: str) -> str:
        return hashlib.sha256(self.files[name]).hexdigest()

    def size(self, name: str) -> int:
        return self.claimed.get(name, len(self.files[name]))

    def etag(self, name: str) -> str:
        """As the hub's: a large file's SHA-256, another's git blob id."""
        if name.endswith(_LARGE):
            return self.sha256(name)
        content = self.files[name]
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Request:
    method: str
    path: str
    range: str
    token: str
    host: str
    sent: int = 0


class Hub:
    """`repositories` by id; what was asked of it in `requests`; how it misbehaves with large files."""

    def __init__(self, repositories: dict[str, Repository]) -> None:
        self.repositories = repositories
        self.requests: list[Request] = []
        self.cut_after: list[int] = []  # bytes after which the connection breaks, for the next requests in turn
        self.pause = 0.0  # seconds after each 64 KiB
        self.ignore_ranges = False
        self.status = 0  # answered to everything, unless 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None: ...

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_GET

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def downloads(self, suffix: str = "") -> list[Request]:
        """The requests for large files' bytes."""
        return [one for one in self.requests if one.path.startswith("/cdn/") and one.path.endswith(suffix)]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        headers = handler.headers
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        request = Request(handler.command, path, headers.get("Range", ""), token, headers.get("Host", ""))
        self.requests.append(request)
        if self.status:
            _reply(handler, self.status, b"no")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            self._describe(handler, *found.groups())
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(handler, *found.groups(), token=token)
        elif found := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
            self._download(handler, request, self.repositories[found[1]].files[found[2]])
        else:
            _reply(handler, 404, b"no such page")

    def _find(self, handler: BaseHTTPRequestHandler, name: str, revision: str) -> Repository | None:
        repository = self.repositories.get(name)
        if repository is None:
            _reply(handler, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision != repository.commit and revision not in repository.branches:
            _reply(handler, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            return repository
        return None

    def _describe(self, handler: BaseHTTPRequestHandler, name: str, kind: str, revision: str) -> None:
        repository = self._find(handler, name, revision)
        if repository is None:
            return
        siblings, tree = [], []
        for file in repository.files:
            size, oid = repository.size(file), repository.etag(file)
            sibling = {"rfilename": file, "size": size, "blobId": oid}
            leaf = {"type": "file", "path": file, "size": size, "oid": oid}
            if file.endswith(_LARGE):
                sibling["lfs"] = {"sha256": oid, "size": size, "pointerSize": 134}
                leaf["lfs"] = {"oid": oid, "size": size, "pointerSize": 134}
            siblings.append(sibling)
            tree.append(leaf)
        info = {"id": name, "modelId": name, "sha": repository.commit, "siblings": siblings}
        _reply(handler, 200, json.dumps(info if kind == "revision" else tree).encode())

    def _resolve(self, handler: BaseHTTPRequestHandler, name: str, revision: str, file: str, *, token: str) -> None:
        repository = self._find(handler, name, revision)
        if repository is None:
            return
        if repository.opened_by and token != repository.opened_by:
            _reply(handler, 403 if token else 401, b"{}", {"X-Error-Code": "GatedRepo"})
            return
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{repository.etag(file)}"'}
        if file.endswith(_LARGE):
            headers |= {"X-Linked-Etag": f'"{repository.etag(file)}"', "X-Linked-Size": f"{repository.size(file)}"}
            headers |= {"Location": f"http://localhost:{self.port}/cdn/{name}/{file}"}
            _reply(handler, 302, b"", headers)
        else:
            _reply(handler, 200, repository.files[file], headers)

    def _download(self, handler: BaseHTTPRequestHandler, request: Request, content: bytes) -> None:
        start = 0
        found = re.fullmatch(r"bytes=(\d+)-", request.range)
        if found and not self.ignore_ranges:
            start = int(found[1])
        handler.send_response(206 if found and not self.ignore_ranges else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        cut = self.cut_after.pop(0) if self.cut_after else len(content)
        for at in range(start, len(content), 2**16):
            if request.sent >= cut:
                handler.close_connection = True
                return
            try:
                handler.wfile.write(content[at : at + 2**16])
            except OSError:  # the client left
                handler.close_connection = True
                return
            request.sent += len(content[at : at + 2**16])
            time.sleep(self.pause)


@contextmanager
def serving(repositories: dict[str, Repository]) -> Iterator[Hub]:
    hub = Hub(repositories)
    try:
        yield hub
    finally:
        hub.close()


def _reply(handler: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content)
