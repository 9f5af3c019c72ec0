"""More requests than the service can do: each is answered or told when to come again."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from bench.overload import Outcomes, Source, ask
from tests.support.serving import QUEUE, Service


def settled(service: Service) -> float:
    """The rows that were prefilled, once nothing is at work any more."""
    end = time.monotonic() + 20
    while service.metric("looksee_rows_waiting") + service.metric("looksee_rows_running"):
        assert time.monotonic() < end
        time.sleep(0.1)
    return service.metric("looksee_prefill_rows_sum")


def test_everybody_is_answered_or_told_when_to_come_again(narrow: Service) -> None:
    async def many(count: int, told: Outcomes) -> None:
        source = Source()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await ask(session, narrow.url, "blip", source.next(), Outcomes(), leaves=False)
            for _ in range(3):
                await asyncio.gather(
                    *(ask(session, narrow.url, "blip", source.next(), told, leaves=False) for _ in range(count))
                )

    before = settled(narrow)
    told = Outcomes()
    asyncio.run(many(100, told))
    assert set(told.statuses) == {200, 429}
    assert told.statuses.total() == 300
    assert told.statuses[200] >= 3 * (QUEUE + QUEUE) / 2
    assert told.without_retry_after == 0
    assert settled(narrow) - before == told.statuses[200] + 1  # nothing else was computed
    asyncio.run(many(1, calm := Outcomes()))
    assert calm.statuses == {200: 3}


def test_of_many_who_leave_next_to_none_are_computed_for(narrow: Service) -> None:
    before = settled(narrow)

    async def leave() -> Outcomes:
        told = Outcomes()
        source = Source(10**6)  # none that the cache has
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            (runner,) = narrow.processes("Blip")
            runner.suspend()
            try:
                await asyncio.gather(
                    *(ask(session, narrow.url, "blip", source.next(), told, leaves=True) for _ in range(2 * QUEUE))
                )
            finally:
                runner.resume()
        return told

    told = asyncio.run(leave())
    assert told.left == 2 * QUEUE
    assert settled(narrow) - before <= 4  # of the calls that the runner had when it came to
