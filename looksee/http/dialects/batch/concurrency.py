"""Limits on the batch items in flight with a model, and retries while a model is busy.

All batches of a process together use at most a share of a model's rows, and the next item is sent when one is answered.
So single requests find free rows, and batches never fill a model's queue.
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

_SHARE = 3, 4  # of the rows of a model's running batch
_REMOTE = 8  # items at a time with a vendor's model, whose batch size is unknown
# Temporary errors: any other would occur again, or has been retried already.
BUSY = (errors.Overloaded, errors.ModelNotReady)


class BatchConcurrency:
    """For one event loop; one for all batches of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots: dict[str, asyncio.Semaphore] = {}

    def width(self, model: str) -> int:
        """How many items may be in flight with the model."""
        part, whole = _SHARE
        return max(1, self._settings.model(model).max_batch_rows * part // whole) if model in REGISTRY else _REMOTE

    def slots(self, model: str) -> asyncio.Semaphore:
        """To be held by each item in flight with the model."""
        return self._slots.setdefault(model, asyncio.Semaphore(self.width(model)))


async def retry_while_busy(work: Callable[[], Awaitable[T]], until: float) -> T:
    """The result of `work`, retried after the error's `retry_after` while the model is busy, until `until` (monotonic).

    Raises what `work` raises; errors of a busy model only when the next try would be too late.
    """
    while True:
        try:
            return await work()
        except BUSY as error:
            wait = error.retry_after or 1
            if time.monotonic() + wait >= until:
                raise
            await asyncio.sleep(wait)
