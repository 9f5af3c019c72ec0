"""How much of the batches is under way with a model at a time, and their patience with a model that is busy.

A batch never has more items with a model than leave room in the running batch for others, all batches of this process
together, and the next item goes when one has come back. So a single request finds a free row, and the model's queue is
never filled from here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from looksee.core import errors
from looksee.models.registry import REGISTRY
from looksee.settings import Settings

T = TypeVar("T")

_SHARE = 3, 4  # of the rows that a model decodes together
_ELSEWHERE = 8  # items at a time with a model whose rows are not ours to count
# What passes by itself. What else failed would fail again, or was asked twice already.
_BUSY = (errors.Overloaded, errors.ModelNotReady)


class BatchConcurrency:
    """For one event loop; one for all batches of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lanes: dict[str, asyncio.Semaphore] = {}

    def width(self, model: str) -> int:
        """How many items may be with the model at a time."""
        part, whole = _SHARE
        return max(1, self._settings.model(model).max_batch_rows * part // whole) if model in REGISTRY else _ELSEWHERE

    def lane(self, model: str) -> asyncio.Semaphore:
        return self._lanes.setdefault(model, asyncio.Semaphore(self.width(model)))


async def patiently(work: Callable[[], Awaitable[T]], until: float) -> T:
    """The result of `work`, done again while the model is busy and as long as it says, until `until` (monotonic).

    Raises what `work` raises, at the end also that the model was busy.
    """
    while True:
        try:
            return await work()
        except _BUSY as error:
            wait = error.retry_after or 1
            if time.monotonic() + wait >= until:
                raise
            await asyncio.sleep(wait)
