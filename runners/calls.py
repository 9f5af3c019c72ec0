"""The calls of gateways to a runner: each job is answered as it ends and may be cancelled alone."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence

from pydantic import TypeAdapter

from looksee.core import errors
from looksee.core.tasks import Ask, Call, Event, Failure, Reply
from looksee.watching import spans
from runners.runner import Runner

logger = logging.getLogger("looksee.runner")

AskId = tuple[str, int]  # a call's id, and the index of an ask in it

_EVENT = TypeAdapter(Event)
_MAX_EARLY_CANCELS = 1024  # ids kept of cancelled asks that are not running: not arrived yet, or answered already


class Calls:
    """The asks that a runner is answering. For one event loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._tasks: dict[AskId, asyncio.Task[None]] = {}
        self._cancelled_early: OrderedDict[AskId, None] = OrderedDict()

    async def answer(self, call: Call) -> AsyncGenerator[bytes, None]:
        """The call's events as lines of JSON, several at a time where they are ready together.

        The first line is empty: it says that the call has arrived. Closing the iterator cancels the unanswered jobs.
        """
        lines: list[bytes] = [b"\n"]
        changed = asyncio.Event()

        def emit(event: Event) -> None:
            lines.append(_EVENT.dump_json(event) + b"\n")
            changed.set()

        async def answer(number: int, ask: Ask) -> None:
            try:
                listener = (lambda text: emit(Event(number, text))) if ask.followed else None
                with spans.of_ask(self._runner.name, ask) as replies:
                    reply = await self._runner.infer(ask, listener, lambda seconds: emit(Event(number, wait=seconds)))
                    replies.append(reply)
                emit(Event(number, reply=reply, identity=await self._runner.identity()))
            except Exception:  # the gateway waits for a reply to every ask
                logger.exception("a job could not be answered")
                failure = Failure.of(errors.RunnerFailed("The model failed on this request."))
                emit(Event(number, reply=Reply(failure=failure)))

        def forget(ask_id: AskId) -> None:
            del self._tasks[ask_id], own[ask_id]
            changed.set()

        own: dict[AskId, asyncio.Task[None]] = {}
        try:
            for number, ask in enumerate(call.asks):
                ask_id = (call.id, number)
                if ask_id not in self._cancelled_early:
                    own[ask_id] = self._tasks[ask_id] = asyncio.create_task(answer(number, ask))
                    own[ask_id].add_done_callback(lambda _, ask_id=ask_id: forget(ask_id))  # type: ignore[misc]
            while own or lines:
                if not lines:
                    changed.clear()
                    await changed.wait()
                    continue
                joined, lines[:] = b"".join(lines), []
                yield joined
        finally:
            for task in own.values():
                task.cancel()

    def cancel(self, ask_ids: Sequence[AskId]) -> None:
        """Drop jobs whose callers have left; those of a call that has not arrived yet are dropped when it arrives."""
        for ask_id in ask_ids:
            if ask_id in self._tasks:
                self._tasks[ask_id].cancel()
            else:
                self._cancelled_early[ask_id] = None
        while len(self._cancelled_early) > _MAX_EARLY_CANCELS:
            self._cancelled_early.popitem(last=False)
