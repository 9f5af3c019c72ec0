"""Where spans go: to a collector by OTLP over HTTP, in the background, or nowhere. Off unless the settings say a place.

What is no setting of the service the SDK reads from the environment itself: OTEL_TRACES_SAMPLER, OTEL_BSP_*,
OTEL_EXPORTER_OTLP_HEADERS and the like.
"""

from __future__ import annotations

import atexit
import functools
import os
import socket
import threading
from importlib import import_module
from typing import Any

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from looksee.settings import Settings
from looksee.version import VERSION
from looksee.watching import spans

_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_LAST_SECONDS = 2.0  # that what is left of spans has when the process ends: a collector may be down
_PROTOCOL = "http/protobuf"  # the exporter's


def export_spans(settings: Settings, process: str) -> TracerProvider | None:
    """Have this process's spans exported, if the settings ask for it. `process`: whose it is, `gateway` or a model.

    Returns what sends them; the rest is sent when the process ends.

    Raises SystemExit where the exporter is not installed, or another protocol is asked for.
    """
    if spans.are_made() or not settings.exports_traces():
        return None
    for name in ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"):
        if os.environ.get(name, "") not in ("", _PROTOCOL):
            raise SystemExit(f"Looksee cannot start: spans are sent by {_PROTOCOL} alone; leave {name} out, or say so.")
    try:
        exporter = import_module(_EXPORTER)
    except ImportError as error:
        raise SystemExit(
            "Looksee cannot start: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER asks for traces, and the "
            "package opentelemetry-exporter-otlp-proto-http is not installed (pip install 'looksee[traces]')."
        ) from error
    told = Resource(
        {
            "service.name": settings.otel_service_name,
            "service.version": VERSION,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "looksee.process": process,
        }
    )
    provider = TracerProvider(resource=told.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    sender = exporter.OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(sender))
    atexit.register(functools.partial(_end, provider, sender))
    spans.use(provider.get_tracer("looksee", VERSION))
    return provider


def _end(provider: TracerProvider, sender: Any) -> None:
    """Send what is left, within a time: the SDK would try a collector that is down again and again for ten seconds."""
    giving_up = threading.Timer(_LAST_SECONDS, sender.shutdown)
    giving_up.daemon = True
    giving_up.start()
    provider.shutdown()
    giving_up.cancel()
