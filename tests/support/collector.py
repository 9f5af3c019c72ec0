"""A collector of OpenTelemetry's: takes spans by OTLP over HTTP, as protobuf, and keeps them."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from typing import Any

PATIENCE = 60.0
_MESSAGES = "opentelemetry.proto.collector.trace.v1.trace_service_pb2"


def installed() -> bool:
    """Whether the exporter is, and with it the messages: an extra of the project's."""
    try:
        return find_spec(_MESSAGES) is not None
    except ModuleNotFoundError:
        return False


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it came over the wire. Ids are in hex; times are in nanoseconds."""

    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Collector(ThreadingHTTPServer):
    """`spans` grows as they come."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spans: list[CollectedSpan] = []
        self.came = threading.Condition()

    def trace(self, id: str, *, spans: int) -> list[CollectedSpan]:
        """The spans of a trace, once there are so many of them."""

        def found() -> list[CollectedSpan]:
            return [one for one in self.spans if one.trace == id]

        with self.came:
            assert self.came.wait_for(lambda: len(found()) >= spans, PATIENCE), found()
            return found()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.path == "/v1/traces", self.path
        assert self.headers["content-type"] == "application/x-protobuf"
        messages = import_module(_MESSAGES)
        request = messages.ExportTraceServiceRequest.FromString(body)
        with self.server.came:
            self.server.spans += _spans(request)
            self.server.came.notify_all()
        answer = messages.ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _spans(request: Any) -> Iterator[CollectedSpan]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield CollectedSpan(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    _attributes(span.attributes),
                    resource,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [one.string_value for one in value.values] if kind == "array_value" else value
    return found


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens until the block ends."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
