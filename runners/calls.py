"""The calls that a runner is at work on: each job is answered as it ends, and may be cancelled by itself."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence

from pydantic import TypeAdapter

from looksee.core import errors
from looksee.core.tasks import Ask, Call, Event, Failure, Reply
from runners.runner import Runner

logger = logging.getLogger("looksee.runner")

AskId = tuple[str, int]  # a call's id, and the number of an ask in it

_EVENT = TypeAdapter(Event)
_REMEMBERED = 1024  # cancelled asks that have not come yet, or not any more


class Calls:
    """For one event loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._at_work: dict[AskId, asyncio.Task[None]] = {}
        self._left: OrderedDict[AskId, None] = OrderedDict()

    async def answer(self, call: Call) -> AsyncGenerator[bytes, None]:
        """Events as lines of JSON, several at a time where they come together. An empty line says that it has begun.

        Closing the iterator cancels the jobs that are left.
        """
        lines: list[bytes] = [b"\n"]
        news = asyncio.Event()

        def tell(event: Event) -> None:
            lines.append(_EVENT.dump_json(event) + b"\n")
            news.set()

        async def answer(number: int, ask: Ask) -> None:
            try:
                listener = (lambda text: tell(Event(number, text))) if ask.followed else None
                answer = await self._runner.infer(ask, listener)
                tell(Event(number, reply=answer, identity=await self._runner.identity()))
            except Exception:  # nobody may be left waiting
                logger.exception("a job could not be answered")
                failure = Failure.of(errors.RunnerFailed("The model failed on this request."))
                tell(Event(number, reply=Reply(failure=failure)))

        def ended(place: AskId) -> None:
            del self._at_work[place], own[place]
            news.set()

        own: dict[AskId, asyncio.Task[None]] = {}
        try:
            for number, ask in enumerate(call.asks):
                place = (call.id, number)
                if place not in self._left:
                    own[place] = self._at_work[place] = asyncio.create_task(answer(number, ask))
                    own[place].add_done_callback(lambda _, place=place: ended(place))  # type: ignore[misc]
            while own or lines:
                if not lines:
                    news.clear()
                    await news.wait()
                    continue
                together, lines[:] = b"".join(lines), []
                yield together
        finally:
            for task in own.values():
                task.cancel()

    def cancel(self, places: Sequence[AskId]) -> None:
        """Drop jobs whose callers left; those of a call that is still on its way are dropped when it comes."""
        for place in places:
            if place in self._at_work:
                self._at_work[place].cancel()
            else:
                self._left[place] = None
        while len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
