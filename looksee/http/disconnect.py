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

    `receive` is the ASGI receive of a request whose body has been read.
    """

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(disconnected())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise errors.Cancelled("The caller left.")
        return working.result()
    finally:
        working.cancel()
        watching.cancel()


async def never_disconnected() -> MutableMapping[str, Any]:
    """The receive of work that is cancelled together with a whole request instead, as an item of a batch."""
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}
