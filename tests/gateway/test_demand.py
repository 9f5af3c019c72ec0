"""Jobs are counted by model, whether or not a runner takes them: what starts a model that has no process."""

from __future__ import annotations

import aiohttp
from prometheus_client import REGISTRY

from looksee.gateway import demand
from looksee.gateway.answering import ServedAnswer
from tests.gateway.proxy import FakeProxy
from tests.gateway.test_answering import ask, house, question
from tests.support.loops import run


def jobs(model: str) -> float | None:
    return REGISTRY.get_sample_value("looksee_jobs_total", {"model": model})


def test_a_model_that_nobody_asked_has_a_figure() -> None:
    assert jobs("nobody") is None
    demand.offer(["nobody"])
    assert jobs("nobody") == 0


def test_a_job_is_counted_when_no_runner_is_there() -> None:
    async def main() -> None:
        demand.offer(["blip"])
        before = jobs("blip") or 0.0
        answering, _ = house(FakeProxy(troubles=[aiohttp.ClientConnectionError("nobody")] * 99))
        (failed,) = await ask(answering, question("ant"))
        assert not isinstance(failed, ServedAnswer)
        assert jobs("blip") == before + 1

    run(main())


def test_an_answer_from_the_cache_is_no_job() -> None:
    async def main() -> None:
        answering, _ = house(FakeProxy())
        await ask(answering, question("ant"))
        before = jobs("blip")
        await ask(answering, question("ant"))
        assert jobs("blip") == before

    run(main())
