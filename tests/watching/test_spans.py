"""Spans: when there are none, whose children they are, and what they tell."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, StatusCode

from looksee.core import errors
from looksee.core.logs import JsonFormatter
from looksee.core.tasks import Answer, Ask, Failure, Job, Reply, Task, Timing
from looksee.watching import spans

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JOB = Job(Task.CAPTION, (b"secret bytes",), "a secret prompt", max_new_tokens=7)


@pytest.fixture
def made() -> Iterator[InMemorySpanExporter]:
    """The spans that have ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.use(provider.get_tracer("test"))
    try:
        yield exporter
    finally:
        spans.use(None)


def by_name(made: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {one.name: one for one in made.get_finished_spans()}


def seconds(span: ReadableSpan) -> float:
    assert span.end_time is not None
    assert span.start_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_there_are_none_unless_they_are_exported() -> None:
    assert not spans.are_made()
    with spans.of_request("POST", "/v1/caption", {"traceparent": PARENT}) as request:
        assert request is INVALID_SPAN
        assert spans.carrier() == ()
        spans.end_request(request, 200, None, {})
        with spans.span("inner") as inner, spans.of_ask("blip", Ask(JOB, 1.0, trace=(("traceparent", PARENT),))):
            assert inner is INVALID_SPAN


def test_a_request_is_a_child_of_its_callers_span(made: InMemorySpanExporter) -> None:
    headers = {"traceparent": PARENT, "tracestate": "vendor=1"}
    with spans.of_request("POST", "/v1/caption", headers) as request:
        with spans.span("ask"):
            carrier = spans.carrier()
        spans.end_request(request, 502, "runner_failed", {"looksee.request_id": "a"})
    found = by_name(made)
    root = found["POST /v1/caption"]
    assert root.parent is not None
    assert (root.parent.trace_id, root.parent.span_id) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert dict(root.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/caption",
        "http.response.status_code": 502,
        "error.type": "runner_failed",
        "looksee.request_id": "a",
    }
    assert root.status.status_code is StatusCode.ERROR
    ask = found["ask"]
    assert ask.context is not None
    assert dict(carrier) == {
        "traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{ask.context.span_id:016x}-01",
        "tracestate": "vendor=1",
    }


def test_callers_that_are_not_traced_are_not(made: InMemorySpanExporter) -> None:
    with spans.of_request("POST", "/v1/caption", {"traceparent": PARENT[:-2] + "00"}):
        assert dict(spans.carrier())["traceparent"].endswith("-00")
    assert not made.get_finished_spans()


@pytest.mark.parametrize("header", ["", "00-0-0-01", "ff" + PARENT[2:], PARENT.replace("b7", "z7"), "x" * 9999])
def test_a_header_that_says_no_trace_begins_one(header: str, made: InMemorySpanExporter) -> None:
    with spans.of_request("GET", "/v1/models", {"traceparent": header}):
        pass
    assert by_name(made)["GET /v1/models"].parent is None


def test_unknown_methods_and_paths_make_no_names(made: InMemorySpanExporter) -> None:
    with spans.of_request("STEAL", None, {}):
        pass
    (found,) = made.get_finished_spans()
    assert (found.name, dict(found.attributes or {})) == ("_OTHER", {"http.request.method": "_OTHER"})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RunnerFailed("no"), "runner_failed"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (ValueError("a secret"), "internal_error"),
    ],
)
def test_what_is_raised_is_told_by_its_code(error: BaseException, code: str, made: InMemorySpanExporter) -> None:
    with pytest.raises(type(error)), spans.span("inner"):
        raise error
    found = by_name(made)["inner"]
    assert dict(found.attributes or {}) == {"error.type": code}
    assert found.status.status_code is StatusCode.ERROR
    assert not found.events  # a traceback may quote a request


def test_the_parts_of_a_job_follow_one_another(made: InMemorySpanExporter) -> None:
    answer = Answer("secret text", "stop", 100, 7)
    timing = Timing(prepare=0.002, queue=0.003, compute=0.03, rows=2.5, waited=0.001, prefill=0.01)
    ask = Ask(JOB, 1.0, "id-1", trace=(("traceparent", PARENT),))

    async def main() -> None:
        with spans.of_ask("blip", ask) as replies:
            await asyncio.sleep(0.1)
            replies.append(Reply(answer, timing=timing))

    asyncio.run(main())
    found = by_name(made)
    run = found["run blip"]
    assert run.parent is not None
    assert run.parent.span_id == 0xB7AD6B7169203331
    assert list(found) == ["decode", "prefill", "queue", "prepare", "weights", "run blip"]
    for name, length in {"decode": 0.02, "prefill": 0.01, "queue": 0.003, "prepare": 0.002}.items():
        assert seconds(found[name]) == pytest.approx(length, abs=1e-6)
    assert found["queue"].start_time == found["prepare"].end_time
    assert found["weights"].start_time is not None
    assert run.start_time is not None
    assert abs(found["weights"].start_time - run.start_time) < 5e6
    assert seconds(found["weights"]) > 0.05  # what is left of it
    assert (run.attributes or {})["gen_ai.response.finish_reasons"] == ("stop",)
    assert "secret" not in "".join(one.to_json() for one in found.values())


def test_parts_that_did_not_come_have_no_spans(made: InMemorySpanExporter) -> None:
    failure = Failure.of(errors.DeadlineExceeded("late"))
    with spans.of_ask("blip", Ask(JOB, 1.0)) as replies:
        replies.append(Reply(failure=failure, timing=Timing(waited=0.5)))
    (run,) = made.get_finished_spans()
    assert (run.attributes or {})["error.type"] == "deadline_exceeded"
    assert run.status.status_code is StatusCode.ERROR


def test_lines_of_the_log_have_their_trace(made: InMemorySpanExporter) -> None:
    record = logging.LogRecord("looksee.test", logging.INFO, "", 0, "words", (), None)
    with spans.of_request("GET", "/v1/models", {"traceparent": PARENT}):
        assert json.loads(JsonFormatter().format(record))["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "trace_id" not in json.loads(JsonFormatter().format(record))
