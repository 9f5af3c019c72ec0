"""The figures of a model's engine as /metrics has them."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from looksee.engine import metrics
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.engine.metrics import MetricsObserver
from tests.engine.toy import OutOfMemoryError, ToyModel, job


def figure(name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"model": "toy"})


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
