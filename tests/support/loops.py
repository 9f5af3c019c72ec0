"""Running coroutines in tests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 30.0  # seconds after which something will not happen any more; a busy machine takes long for what is quick


def run(work: Coroutine[Any, Any, T], *, seconds: float = PATIENCE) -> T:
    """The result of `work` on a loop of its own; fails when the loop hears of an exception that nobody looked at."""
    unheard: list[dict[str, Any]] = []

    async def main() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        try:
            async with asyncio.timeout(seconds):
                return await work
        finally:
            await asyncio.sleep(0)
            gc.collect(1)  # a task or future complains when it is collected; the young ones are enough, and quick

    result = asyncio.run(main())
    assert not unheard, unheard
    return result


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for an event of whatever thread or process. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (of whatever kind it is)
            await asyncio.sleep(0.01)


async def settle(turns: int = 10) -> None:
    """Let everything that is ready to run, run."""
    for _ in range(turns):
        await asyncio.sleep(0)
