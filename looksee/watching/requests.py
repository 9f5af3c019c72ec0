"""The gateway's figures of requests: how many are under way, how long they took, and how they ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

from looksee.watching import spans

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

_HTTP = Counter(
    "looksee_http_requests_total",
    "HTTP requests, but for probes and the page, by their status (0: no answer) and the code of their error",
    ["status", "code"],
)
_IN_FLIGHT = Gauge(
    "looksee_requests_in_flight",
    "Questions that a gateway has accepted and not answered, those included that wait for weights or another's answer",
    ["model"],
    multiprocess_mode="livesum",
)
_ENDED = Counter(
    "looksee_requests_total",
    "Questions by how they ended: why the answer was finished (stop, length, empty, loop), an error's code, cancelled",
    ["model", "reason"],
)
_E2E = Histogram(
    "looksee_request_seconds",
    "Seconds from a gateway's acceptance of a question to the end of its answer, by result: computed, cached, failed",
    ["model", "result"],
    buckets=_SECONDS,
)


def count_http(status: int, code: str) -> None:
    """Count an HTTP request."""
    _HTTP.labels(status, code).inc()


class Questions:
    """The questions of one call to a model, which have begun together. Each ends once."""

    def __init__(self, model: str, count: int) -> None:
        self._model, self.left = model, count
        self._began = time.monotonic()

    def end(self, reason: str, result: str) -> None:
        """One of them has ended."""
        self.left -= 1
        _IN_FLIGHT.labels(self._model).dec()
        _ENDED.labels(self._model, reason).inc()
        _E2E.labels(self._model, result).observe(time.monotonic() - self._began)


@contextmanager
def under_way(model: str, count: int) -> Iterator[Questions]:
    """Count so many questions as under way until each has ended, or all have by what is raised here."""
    questions = Questions(model, count)
    _IN_FLIGHT.labels(model).inc(count)
    why = "cancelled"
    try:
        yield questions
    except BaseException as error:
        why = spans.reason(error)
        raise
    finally:
        for _ in range(questions.left):
            questions.end(why, "failed")
