"""An item of a batch about several objects: no more of them at a time than there is room for beside other items."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from looksee.core import errors
from looksee.core.images import Picture
from looksee.gateway.answering import Result, ServedAnswer
from looksee.http.apis import several_objects
from looksee.http.context import RequestContext
from looksee.http.dialects.batch.concurrency import BUSY
from looksee.http.disconnect import stop
from looksee.http.skills.localization import LocalizationSkill


class SeveralTries:
    """The tries of one item: what a try has found out, the next one does not ask again."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        """`slots` are those of the model's items in flight; the item holds one of them."""
        self._slots = slots
        self._found: dict[int, Result] = {}

    async def members(
        self, context: RequestContext, model: str, skill: LocalizationSkill, pictures: Sequence[Picture]
    ) -> dict[str, Any]:
        """The members of the answer. Raises the error of a busy model, or the first one where all objects failed."""
        each = skill.each()
        todo = deque(place for place in range(len(each)) if place not in self._found)

        async def go() -> None:
            while todo:
                place = todo.popleft()
                job = each[place].job(model, pictures, context.settings)
                try:
                    self._found[place] = await context.ask(model, job, param=f"objects.{place}")
                except BUSY:
                    todo.clear()  # the rest of them is as busy
                    raise
                except errors.LookseeError as error:
                    self._found[place] = error

        beside: list[asyncio.Task[None]] = []
        while len(beside) < len(todo) - 1 and not self._slots.locked():
            await self._slots.acquire()  # at once
            beside.append(asyncio.create_task(go()))
            beside[-1].add_done_callback(lambda _: self._slots.release())  # also of one that never began
        try:
            await asyncio.gather(go(), *beside)
        finally:
            await stop(*beside)
        found = [self._found[place] for place in range(len(each))]
        if not any(isinstance(result, ServedAnswer) for result in found):
            raise several_objects.first_failure(found)
        entries = several_objects.shown(skill, found, lambda one, answer: one.members(answer, pictures), told=False)
        return {"results": entries}
