"""Blocking work that nobody waits for any more when its process ends."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(work: Callable[[], T], abandoned: asyncio.Event) -> T | None:
    """What `work` returns or raises; None as soon as `abandoned` is set, and then it goes on by itself.

    Threads of asyncio's own pool are waited for when the event loop and the interpreter end.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="background", daemon=True).start()
    given_up = asyncio.create_task(abandoned.wait())
    try:
        await asyncio.wait((future, given_up), return_when=asyncio.FIRST_COMPLETED)
        return future.result() if future.done() else None
    finally:
        given_up.cancel()
        future.cancel()
