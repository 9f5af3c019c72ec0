"""Whether spans are exported, as the environment says it, and what happens where they cannot be."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable

import pytest

from looksee.settings import Settings
from looksee.watching import export, spans
from tests.support import collector as support

ENDPOINT = "http://127.0.0.1:9"
NAMES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_SDK_DISABLED",
)


@pytest.mark.parametrize(
    ("environment", "exported"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{ENDPOINT}/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, False),
        ({"OTEL_SERVICE_NAME": "mine"}, False),
    ],
)
def test_spans_are_exported_where_the_environment_says_so(
    environment: dict[str, str], exported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings().exports_traces() is exported


def test_other_exporters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with pytest.raises(ValueError, match="OTEL_TRACES_EXPORTER"):
        Settings()


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_other_protocols_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT)
    monkeypatch.setenv(name, "grpc")
    with pytest.raises(SystemExit, match=f"http/protobuf alone; leave {name} out"):
        export.export_spans(Settings(), "gateway")
    assert not spans.are_made()


def test_without_the_exporter_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT)
    monkeypatch.setattr(export, "_EXPORTER", "opentelemetry.exporter.none_of_this_name")
    with pytest.raises(SystemExit, match=r"pip install 'looksee\[traces\]'"):
        export.export_spans(Settings(), "gateway")
    assert not spans.are_made()


def test_nothing_is_imported_where_nothing_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(export, "import_module", None)
    export.export_spans(Settings(), "gateway")
    assert not spans.are_made()


@pytest.mark.skipif(not support.installed(), reason="the exporter is not installed (the extra `traces`)")
def test_a_collector_that_is_down_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", ends.append)
    monkeypatch.setattr(export, "_LAST_SECONDS", 0.5)
    try:
        export.export_spans(Settings(), "blip")
        with spans.span("one"):
            pass
    finally:
        spans.use(None)
    started = time.monotonic()
    (end,) = ends
    end()
    assert time.monotonic() - started < 25  # the SDK waits 30 for what is being sent


@pytest.mark.skipif(not support.installed(), reason="the exporter is not installed (the extra `traces`)")
def test_a_process_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setattr(atexit, "register", lambda end: None)
    try:
        with support.collecting() as collector:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
            provider = export.export_spans(Settings(), "blip")
            assert provider is not None
            with spans.span("one"):
                pass
            provider.shutdown()
            (span,) = collector.spans
    finally:
        spans.use(None)
    told = {name: span.resource[name] for name in ("service.name", "looksee.process", "deployment.environment.name")}
    assert told == {"service.name": "mine", "looksee.process": "blip", "deployment.environment.name": "test"}
    assert span.resource["service.instance.id"]
