"""Traces as a collector gets them: a real service, its exporter, and a collector that reads the protobuf."""

from __future__ import annotations

import itertools
import secrets

import httpx
import pytest

from tests.support import collector as support
from tests.support.collector import CollectedSpan, Collector
from tests.support.pictures import scene
from tests.support.serving import CLIENT_KEY, Service

pytestmark = pytest.mark.skipif(
    not support.installed(), reason="opentelemetry-exporter-otlp-proto-http is not installed (the extra `traces`)"
)

ROUTE = "/api/caption-images"
PARTS = ["prepare", "queue", "prefill", "decode"]


def caption(service: Service, trace: str, *, picture: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    sent = {"X-API-Key": CLIENT_KEY, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"} | (headers or {})
    return service.client.post(ROUTE, params={"model": "blip"}, files=[("images", ("a.png", picture))], headers=sent)


def tree(spans: list[CollectedSpan]) -> dict[str, str]:
    """The name of each span's parent by its own name; that of a span elsewhere is its id."""
    names = {one.id: one.name for one in spans}
    return {one.name: names.get(one.parent, one.parent) for one in spans}


def test_a_request_is_one_trace_through_gateway_and_runner(keyed: Service, collector: Collector) -> None:
    trace, picture = secrets.token_hex(16), scene("traced 1")[0]
    answer = caption(keyed, trace, picture=picture, headers={"X-Request-ID": "traced-1"})
    assert answer.status_code == 200, answer.text
    spans = collector.trace(trace, spans=8)
    parents = tree(spans)
    parents.pop("weights", None)  # where this is the first question to the model
    assert parents == {
        "POST /api/caption-images": "00f067aa0ba902b7",
        "answer blip": "POST /api/caption-images",
        "ask blip": "answer blip",
        "run blip": "ask blip",
        **dict.fromkeys(PARTS, "run blip"),
    }
    by_name = {one.name: one for one in spans}
    root, run = by_name["POST /api/caption-images"], by_name["run blip"]
    assert root.resource["service.name"] == run.resource["service.name"] == "looksee"
    assert (root.resource["looksee.process"], run.resource["looksee.process"]) == ("gateway", "blip")
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["looksee.request_id"] == run.attributes["looksee.request_id"] == "traced-1"
    assert by_name["answer blip"].attributes["looksee.cache"] == "miss"
    assert run.attributes["gen_ai.usage.output_tokens"] > 0
    assert run.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    parts = [by_name[name] for name in PARTS]
    assert all(run.start <= one.start <= one.end <= run.end for one in parts)
    assert all(one.end <= next.start for one, next in itertools.pairwise(parts))
    assert not any(one.failed for one in spans)


def test_an_answer_of_the_cache_has_no_spans_of_the_runner(keyed: Service, collector: Collector) -> None:
    picture = scene("traced 2")[0]
    first, second = secrets.token_hex(16), secrets.token_hex(16)
    assert caption(keyed, first, picture=picture).status_code == 200
    collector.trace(first, spans=8)
    assert caption(keyed, second, picture=picture).status_code == 200
    spans = collector.trace(second, spans=2)
    assert tree(spans) == {"POST /api/caption-images": "00f067aa0ba902b7", "answer blip": "POST /api/caption-images"}
    assert {one.attributes.get("looksee.cache") for one in spans} == {None, "hit"}


def test_a_refusal_is_told_and_says_why(keyed: Service, collector: Collector) -> None:
    trace = secrets.token_hex(16)
    assert caption(keyed, trace, picture=scene("traced 3")[0], headers={"X-API-Key": "wrong"}).status_code == 403
    (span,) = collector.trace(trace, spans=1)
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (403, "wrong_key")
    assert not span.failed  # it is the caller's fault


def test_a_header_that_is_no_trace_begins_one(keyed: Service, collector: Collector) -> None:
    headers = {"traceparent": "00-nothing", "X-Request-ID": secrets.token_hex(8)}
    assert caption(keyed, "", picture=scene("traced 4")[0], headers=headers).status_code == 200
    with collector.came:
        assert collector.came.wait_for(lambda: _roots(collector, headers["X-Request-ID"]), support.PATIENCE)
    (root,) = _roots(collector, headers["X-Request-ID"])
    assert root.parent == ""
    assert {one.name for one in collector.trace(root.trace, spans=8)} >= {"run blip", *PARTS}


def _roots(collector: Collector, request_id: str) -> list[CollectedSpan]:
    said = "looksee.request_id"
    return [one for one in collector.spans if one.name[:4] == "POST" and one.attributes.get(said) == request_id]


def test_probes_and_figures_are_not_traced(keyed: Service, collector: Collector) -> None:
    for path in ("/readyz", "/metrics", "/health"):
        assert keyed.client.get(path).status_code == 200
    trace = secrets.token_hex(16)
    caption(keyed, trace, picture=scene("traced 5")[0])
    collector.trace(trace, spans=8)  # what came before has arrived with it
    assert not {one.name for one in collector.spans} & {"GET /readyz", "GET /metrics", "GET /health", "GET"}
