"""The figures of a model's engine as /metrics has them."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY, Histogram

from looksee.engine import metrics
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.engine.metrics import MetricsObserver
from tests.engine.toy import OutOfMemoryError, ToyModel, job


def figure(name: str, more: int = 0) -> float | None:
    """The figure of this model, and `more`."""
    found = REGISTRY.get_sample_value(name, {"model": "toy"})
    return None if found is None else found + more


def test_tokens_memory_and_budget_of_a_model_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_SECONDS_BETWEEN", -1.0)

    def full(words: list[str]) -> None:
        if len(words) > 1:
            raise OutOfMemoryError("out of memory")

    model = ToyModel(on_step=full)
    observer = MetricsObserver("toy", model.reuse, lambda: 12345)
    engine = Engine(model, EngineLimits(queue=9, rows=4, cost=99, memory=500), observer=observer)

    async def main() -> None:
        await asyncio.gather(*(engine.submit(job(word), timeout=10) for word in ("abc", "defgh", "unreadable")))

    try:
        assert figure("looksee_batch_budget_bytes") == 500
        asyncio.run(main())
        assert figure("looksee_prompt_tokens_total") == 2
        assert figure("looksee_new_tokens_total") == 8
        assert figure("looksee_row_new_tokens_sum") == figure("looksee_inter_token_seconds_count", 2) == 8
        assert figure("looksee_row_prompt_tokens_count") == figure("looksee_prefill_seconds_count") == 2
        assert figure("looksee_decode_seconds_count") == 2
        assert (figure("looksee_prefill_seconds_sum") or 0) > 0
        assert figure("looksee_device_memory_bytes") == 12345
        assert figure("looksee_batch_budget_bytes") in (5, 500)  # 5: two rows of five letters, halved
    finally:
        engine.close()
    engine.observer.released()
    assert figure("looksee_device_memory_bytes") == figure("looksee_batch_budget_bytes") == 0


def test_a_model_without_an_accelerator_has_no_memory_there() -> None:
    MetricsObserver("no accelerator", dict).running_rows(0)
    assert REGISTRY.get_sample_value("looksee_device_memory_bytes", {"model": "no accelerator"}) is None


def test_what_was_encoded_before_the_beginning_is_not_counted() -> None:
    """As a picture that warms a model up."""
    reuse = {"pictures": (0, 1)}
    observer = MetricsObserver("begun", lambda: reuse)
    observer.begin()
    observer.running_rows(0)
    reuse["pictures"] = (2, 4)
    observer.running_rows(0)
    found = [
        REGISTRY.get_sample_value("looksee_pictures_total", {"model": "begun", "result": result})
        for result in ("reused", "encoded")
    ]
    assert found == [2, 3]


def test_a_value_is_observed_as_often_as_it_came() -> None:
    one_by_one = Histogram("looksee_test_one_by_one_seconds", "-", buckets=(1, 2), registry=None)
    at_once = Histogram("looksee_test_at_once_seconds", "-", buckets=(1, 2), registry=None)
    for value in (0.5, 1.0, 1.5, 3.0):
        metrics._observe(at_once, value, times=3)
        for _ in range(3):
            one_by_one.observe(value)
    figures = [
        {one.name.rpartition("_")[2] + str(one.labels): one.value for one in next(iter(metric.collect())).samples}
        for metric in (one_by_one, at_once)
    ]
    assert len(figures[0]) > 4
    del figures[0]["created{}"], figures[1]["created{}"]
    assert figures[0] == figures[1]
