"""Single flight: identical requests that are under way at the same time run once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Call:
    """One run that several keys, and several waiters of each, depend on; the last waiter to leave cancels it."""

    def __init__(self) -> None:
        self.keys: list[Hashable] = []
        self.task: asyncio.Task[None] | None = None
        self.waiters = 0


class SingleFlight(Generic[T]):
    """For one event loop. Results are handed to every waiter; nothing is kept once a run has ended."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, tuple[asyncio.Future[T], _Call]] = {}

    async def run(
        self, keys: Sequence[Hashable], work: Callable[[list[int]], Awaitable[Sequence[T]]]
    ) -> tuple[list[T], list[bool]]:
        """The result for each key, and whether it was shared with a run begun by somebody else.

        `work` is called at most once, with the indices of the keys that nobody is working on yet, and returns their
        results in that order. What it raises, it raises for all who wait for those keys.
        """
        own: list[int] = []
        joined: list[bool] = []
        futures: list[asyncio.Future[T]] = []
        calls: set[_Call] = set()
        call = _Call()
        loop = asyncio.get_running_loop()
        for index, key in enumerate(keys):
            joined.append(key in self._under_way)
            if key not in self._under_way:
                self._under_way[key] = (loop.create_future(), call)
                call.keys.append(key)
                own.append(index)
            future, owner = self._under_way[key]
            futures.append(future)
            calls.add(owner)
        if own:
            call.task = loop.create_task(self._work(call, own, work))
        for each in calls:
            each.waiters += 1
        try:
            results = await asyncio.gather(*(asyncio.shield(future) for future in futures))
        finally:
            for each in calls:
                each.waiters -= 1
                if each.waiters == 0 and each.task is not None:
                    self._forget(each)  # before it has ended: who comes now must not join a run that dies
                    each.task.cancel()  # does nothing to a task that has ended
        return list(results), joined

    async def _work(self, call: _Call, indices: list[int], work: Callable[[list[int]], Awaitable[Sequence[T]]]) -> None:
        futures = [self._under_way[key][0] for key in call.keys]
        try:
            for future, result in zip(futures, await work(indices), strict=True):
                future.set_result(result)
        except BaseException as error:
            for future in futures:
                if not future.done():
                    if isinstance(error, Exception):
                        future.set_exception(error)
                        future.exception()  # seen: a waiter may have left
                    else:
                        future.cancel()
            if not isinstance(error, Exception):
                raise
        finally:
            self._forget(call)

    def _forget(self, call: _Call) -> None:
        for key in call.keys:
            if key in self._under_way and self._under_way[key][1] is call:
                del self._under_way[key]
