"""What an engine does before its first row: in the device thread, and counted nowhere."""

from __future__ import annotations

import threading

import pytest

from looksee.engine.engine import Engine
from tests.engine.test_engine import LIMITS
from tests.engine.toy import ToyModel, job
from tests.support.loops import run


def test_it_is_over_before_the_first_row_is_prefilled() -> None:
    threads, going, model = [], threading.Event(), ToyModel()

    def beginning() -> None:
        threads.append(threading.current_thread().name)
        going.wait(10)
        assert not model.prefills

    async def main() -> None:
        engine = Engine(model, LIMITS, beginning=beginning)
        reply = engine.submit(job("word"), timeout=10)
        going.set()
        assert (await reply).answer is not None
        assert engine.begun.result(10) is None
        engine.close()

    run(main())
    assert set(threads) == model.threads == {"device"}


def test_what_it_raises_is_told_and_the_engine_runs_on() -> None:
    def beginning() -> None:
        raise ValueError("no")

    async def main() -> None:
        engine = Engine(ToyModel(), LIMITS, beginning=beginning)
        with pytest.raises(ValueError, match="no"):
            engine.begun.result(10)
        assert (await engine.submit(job("word"), timeout=10)).answer is not None
        engine.close()

    run(main())
