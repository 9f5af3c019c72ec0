"""Single flight: a question that is asked while it is being answered shares the run that is under way.

A run has waiters, each with its own deadline, which may stand still while the run waits for weights. The work is given
the longest deadline of the waiters at its beginning. If it fails on that deadline and a later waiter has time left, it
is begun anew, once for all remaining waiters. A run without waiters is cancelled. A key is free again when the result
has been stored, so that a later request finds it in the cache.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from looksee.core import errors
from looksee.gateway.broadcast import Listener, TextBroadcast
from looksee.gateway.load_clock import LoadClock, Waiting

T = TypeVar("T")

# Takes a deadline of the monotonic clock, and the listener to the text, None if the text need not be streamed.
Work = Callable[[float, Listener | None], Awaitable[T]]

_SAME = 0.001  # seconds by which two sums of one deadline may differ
_GRACE = 0.5  # seconds a waiter stays beyond its deadline: the runner's own answer to a missed deadline is on its way


class _Run(Generic[T]):
    """The work for one key, and its waiters."""

    def __init__(self) -> None:
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.waiters: list[Waiting] = []
        self.held_until = 0.0  # of the monotonic clock: it waits for weights until then at most
        self.broadcast = TextBroadcast()
        self.task: asyncio.Task[None] | None = None


class SingleFlight(Generic[T]):
    """For one event loop. At any time a key has one run at most."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Run[T]] = {}

    def __contains__(self, key: Hashable) -> bool:
        """Whether a call of `run` for `key` joins a run that is under way."""
        return key in self._under_way

    async def run(
        self,
        key: Hashable,
        work: Work[T],
        keep: Callable[[T], Awaitable[None]],
        *,
        deadline: float,
        listener: Listener | None = None,
        clock: LoadClock | None = None,
    ) -> T:
        """The result for `key`: that of `work`, or of the run that is under way.

        `keep` stores the result of `work`; the waiters do not wait for it, and it must not raise. `deadline` is of the
        monotonic clock, and with a `clock` that one counts instead. A `listener` is called with each piece of the text,
        from its beginning.

        Raises what the work raises, and DeadlineExceeded. Cancelling the last waiter cancels the work.
        """
        run = self._under_way.get(key)
        if run is None:
            run = self._under_way[key] = _Run()
            run.task = asyncio.create_task(self._perform(key, run, work, keep))
        waiter = Waiting(deadline, clock)
        run.waiters.append(waiter)
        waiter.on_wait(max(0.0, run.held_until - time.monotonic()))
        if listener is not None:
            run.broadcast.add(listener)
        try:
            while not run.result.done() and (left := waiter.longest() + _GRACE) > 0:
                await asyncio.wait([run.result], timeout=left)
            if not run.result.done():
                raise errors.DeadlineExceeded("The request was not answered within its time.")
            return run.result.result()
        finally:
            run.waiters.remove(waiter)
            waiter.on_wait(0.0)
            if listener is not None:
                run.broadcast.remove(listener)
            if not run.waiters and not run.result.done() and run.task is not None:
                self._forget(key, run)  # before the task has ended: a new request must not join a cancelled run
                run.task.cancel()

    def waits_apart(self, key: Hashable) -> bool:
        """Whether there is a waiter of the run for `key` whose deadline stands still while weights load."""
        run = self._under_way.get(key)
        return run is not None and any(waiter.clock is not None for waiter in run.waiters)

    def on_wait(self, key: Hashable, seconds: float) -> None:
        """The run for `key` waits for weights, for so many seconds at most; with 0 it goes on."""
        run = self._under_way.get(key)
        if run is not None:
            run.held_until = time.monotonic() + seconds
            for waiter in run.waiters:
                waiter.on_wait(seconds)

    async def _perform(self, key: Hashable, run: _Run[T], work: Work[T], keep: Callable[[T], Awaitable[None]]) -> None:
        try:
            try:
                result = await _answered(run, work)
            except Exception as error:
                run.result.set_exception(error)
                run.result.exception()  # marks it as retrieved: there may be no waiter left
            else:
                run.result.set_result(result)
                await keep(result)
        finally:
            run.result.cancel()  # no effect on a future that has a result
            self._forget(key, run)

    def _forget(self, key: Hashable, run: _Run[T]) -> None:
        if self._under_way.get(key) is run:
            del self._under_way[key]


async def _answered(run: _Run[T], work: Work[T]) -> T:
    while True:
        until = time.monotonic() + max(waiter.left() for waiter in run.waiters)
        try:
            return await work(until, run.broadcast.sender())
        except errors.DeadlineExceeded:
            now = time.monotonic()
            last = max((now + waiter.left() for waiter in run.waiters), default=until)
            if last <= max(until, now) + _SAME:
                raise
