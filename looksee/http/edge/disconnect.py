"""Work for a caller that may hang up: frameworks let a handler run on, so we watch the connection ourselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from looksee.core import errors

T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; cancels it and raises Cancelled when the caller leaves first.

    `receive` is the ASGI receive of a request whose body has been read.
    """

    async def hang_up() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(hang_up())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise errors.Cancelled("The caller left.")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
