"""Spans of requests, through the gateway and the runners: none without an exporter (`looksee.watching.export`).

    gateway   POST /v1/chat/completions     a request, from its head to its last byte
                answer blip                 each of its questions; whether the cache had the answer
                  ask blip                  what the cache lacks, until the runner's reply
    runner          run blip
                      weights               the wait for them, where they are not loaded
                      prepare               decoding pictures, building the prompt
                      queue                 prepared, and not in the batch yet
                      prefill               from there to the first token
                      decode                from the first token to the last

A span holds no prompt, no picture, no answer and no key. The names of attributes are OpenTelemetry's conventions for
HTTP and for generative AI where these have one, else they begin with `looksee.`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from looksee.core import errors
from looksee.core.logs import TRACE_ID
from looksee.core.tasks import Ask, Reply, Timing

Attributes: TypeAlias = Mapping[str, AttributeValue]
Carrier: TypeAlias = tuple[tuple[str, str], ...]

_HEADERS = ("traceparent", "tracestate")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"})
_NOTHING: Attributes = MappingProxyType({})
_NOTICED = 1e-3  # seconds: a shorter wait for the weights is none
_propagator = TraceContextTextMapPropagator()
_tracer: Tracer | None = None  # none: no spans are made


def use(tracer: Tracer | None) -> None:
    """Make this process's spans with `tracer`; None for no spans."""
    global _tracer
    _tracer = tracer


def are_made() -> bool:
    """Whether this process makes spans."""
    return _tracer is not None


@contextlib.contextmanager
def span(
    name: str,
    attributes: Attributes = _NOTHING,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: Carrier | None = None,
) -> Iterator[Span]:
    """A span of this task's, below the one that is open, or below a `parent` from elsewhere, where none may be named.

    An exception is told by its code.
    """
    if _tracer is None:
        yield INVALID_SPAN
        return
    context = None if parent is None else _propagator.extract(dict(parent))
    with _tracer.start_as_current_span(
        name, context, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as opened:
        token = TRACE_ID.set(trace.format_trace_id(opened.get_span_context().trace_id))
        try:
            yield opened
        except BaseException as error:
            failed(opened, reason(error))
            raise
        finally:
            TRACE_ID.reset(token)


def reason(error: BaseException) -> str:
    """What an exception is called: its code, `cancelled`, or `internal_error`."""
    if isinstance(error, errors.LookseeError):
        return error.code
    return "cancelled" if isinstance(error, asyncio.CancelledError | GeneratorExit) else errors.LookseeError.code


def failed(of: Span, code: str) -> None:
    """Tell that what a span is of has failed."""
    of.set_attribute("error.type", code)
    of.set_status(StatusCode.ERROR)


def carrier() -> Carrier:
    """The headers that make spans elsewhere children of the open one; empty without one."""
    if _tracer is None:
        return ()
    found: dict[str, str] = {}
    _propagator.inject(found)
    return tuple(found.items())


def of_request(method: str, path: str | None, headers: Mapping[str, str]) -> contextlib.AbstractContextManager[Span]:
    """The span of a request, part of its caller's trace where its header says one. `path` is None without a route."""
    if _tracer is None:
        return contextlib.nullcontext(INVALID_SPAN)
    parent = tuple((name, headers[name]) for name in _HEADERS if name in headers)
    attributes = {"http.request.method": method if method in _METHODS else "_OTHER"}
    name = attributes["http.request.method"]
    if path is not None:
        attributes["http.route"] = path
        name += f" {path}"
    return span(name, attributes, kind=SpanKind.SERVER, parent=parent)


def end_request(of: Span, status: int, error: str | None, attributes: Attributes) -> None:
    """What is known of a request at its end: its status (0: nothing was sent) and the code of its error."""
    if not of.is_recording():
        return
    of.set_attributes({"http.response.status_code": status, **attributes})
    if error:
        of.set_attribute("error.type", error)
    if status >= 500 or not status:
        of.set_status(StatusCode.ERROR)


@contextlib.contextmanager
def of_ask(model: str, ask: Ask) -> Iterator[list[Reply]]:
    """The span of a job in the runner, whose parts are told from its reply, which is put into the list."""
    replies: list[Reply] = []
    if _tracer is None:
        yield replies
        return
    began = time.time_ns()
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": str(ask.job.task),
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": ask.job.max_new_tokens,
        "looksee.request_id": ask.request_id,
        "looksee.pictures": len(ask.job.images),
    }
    with span(f"run {model}", attributes, kind=SpanKind.SERVER, parent=ask.trace) as opened:
        yield replies
        for reply in replies:
            _tell(opened, reply)
            _add_parts(_tracer, reply.timing, began, time.time_ns())


def _tell(opened: Span, reply: Reply) -> None:
    if reply.failure is not None:
        failed(opened, reply.failure.code)
    if (answer := reply.answer) is not None:
        opened.set_attribute("gen_ai.usage.input_tokens", answer.prompt_tokens)
        opened.set_attribute("gen_ai.usage.output_tokens", answer.new_tokens)
        opened.set_attribute("gen_ai.response.finish_reasons", [answer.finish])
        opened.set_attribute("looksee.batch.rows", round(reply.timing.rows, 2))


def _add_parts(tracer: Tracer, timing: Timing, began: int, ended: int) -> None:
    """The spans of a job's parts, which have ended: laid out backwards from its end, as they follow one another."""
    decode = max(0.0, timing.compute - timing.prefill)
    parts = [("decode", decode), ("prefill", timing.prefill), ("queue", timing.queue), ("prepare", timing.prepare)]
    end = ended
    for name, seconds in parts:
        start = max(began, end - round(seconds * 1e9))
        if seconds:
            tracer.start_span(name, start_time=start).end(end)
        end = start
    end -= round(timing.waited * 1e9)
    if (end - began) / 1e9 > _NOTICED:
        tracer.start_span("weights", start_time=began).end(end)
