"""Work that ends when the client disconnects: frameworks let a handler run on, so the connection is watched here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from looksee.core import errors

T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; cancels it and raises Cancelled when the client disconnects first.

    `receive` is the ASGI receive of a request whose body has been read; what it raises is raised here. When this
    returns or raises, the work has ended.
    """

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(disconnected())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        watching.result()
        raise errors.Cancelled("The caller left.")
    finally:
        await stop(working, watching)


async def stop(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended; what they raise is not of interest any more.

    They are cancelled even if the waiting itself is: in a task group that is cancelled every wait is.
    """
    for task in tasks:
        task.cancel()
        task.add_done_callback(_look_at)
    if waiting := [task for task in tasks if not task.done()]:
        await asyncio.wait(waiting)


def _look_at(task: asyncio.Future[Any]) -> None:
    """Asyncio reports an exception that nobody has looked at."""
    if not task.cancelled():
        task.exception()


async def never_disconnected() -> MutableMapping[str, Any]:
    """The receive of work that is cancelled together with a whole request instead, as an item of a batch."""
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}
