"""The figures of questions and of HTTP requests."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from looksee.core import errors
from looksee.watching import requests


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def ended(model: str, reason: str) -> float:
    return figure("looksee_requests_total", model=model, reason=reason)


def test_questions_are_under_way_until_each_has_ended() -> None:
    with requests.under_way("a", 2) as questions:
        assert figure("looksee_requests_in_flight", model="a") == 2
        questions.end("stop", "computed")
        assert figure("looksee_requests_in_flight", model="a") == 1
        questions.end("runner_failed", "failed")
    assert figure("looksee_requests_in_flight", model="a") == 0
    assert (ended("a", "stop"), ended("a", "runner_failed"), ended("a", "cancelled")) == (1, 1, 0)
    assert figure("looksee_request_seconds_count", model="a", result="computed") == 1
    assert figure("looksee_request_seconds_count", model="a", result="failed") == 1


@pytest.mark.parametrize(
    ("error", "reason"), [(asyncio.CancelledError(), "cancelled"), (errors.Overloaded("full"), "overloaded")]
)
def test_what_ends_all_of_them_is_their_end(error: BaseException, reason: str) -> None:
    def fail() -> None:
        with requests.under_way(reason, 3) as questions:
            questions.end("length", "cached")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (ended(reason, "length"), ended(reason, reason)) == (1, 2)
    assert figure("looksee_requests_in_flight", model=reason) == 0


def test_http_requests_are_counted_by_status_and_code() -> None:
    before = figure("looksee_http_requests_total", status="499", code="a test's")
    requests.count_http(499, "a test's")
    assert figure("looksee_http_requests_total", status="499", code="a test's") == before + 1
