"""Jobs that arrive while the engine is being closed."""

from __future__ import annotations

import asyncio

from looksee.core.tasks import Reply
from looksee.engine.engine import Engine
from tests.engine.test_engine import LIMITS
from tests.engine.toy import ToyModel, job
from tests.support.loops import run


def test_a_job_that_arrives_while_the_engine_closes_gets_a_reply() -> None:
    """None is raised, and none is lost (I3), at whichever moment it comes."""

    async def main() -> None:
        engine = Engine(ToyModel(), LIMITS)
        asked: list[asyncio.Task[Reply]] = []
        for number in range(200):
            if number == 20:
                closing = asyncio.create_task(asyncio.to_thread(engine.close))
            asked.append(asyncio.create_task(engine.submit(job("word"), timeout=10)))
            await asyncio.sleep(0)
        await closing
        for reply in await asyncio.gather(*asked):
            assert reply.answer is not None or (reply.failure is not None and reply.failure.retry_after)
        late = await engine.submit(job("late"), timeout=10)
        assert late.failure is not None
        assert late.failure.code == "model_not_ready"

    for _ in range(10):
        run(main())
