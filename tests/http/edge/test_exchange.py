"""A body that comes in pieces: a pause in it ends, and what follows it is none of its pauses."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence

import pytest
from starlette.types import Message

from looksee.core import errors
from looksee.http.edge.exchange import Exchange
from tests.support.loops import run

PAUSE = 0.05


class Short(Exchange):
    body_pause = PAUSE


def exchange(*messages: Message) -> Short:
    """One whose client sends these, and then nothing."""
    left = list(messages)

    async def receive() -> Message:
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    return Short(receive, send, 10**6, None, "id")


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize("encoding", [None, "gzip"])
@pytest.mark.parametrize("sent", [[], [b"{"]], ids=["nothing", "a part"])
def test_a_body_that_pauses_is_given_up(encoding: str | None, sent: Sequence[bytes]) -> None:
    async def main() -> None:
        told = exchange(*(part(gzip.compress(body)[:5] if encoding else body) for body in sent))
        if encoding:
            told.unpack(encoding)
        for _ in range(2):
            if told.refusal is None:
                last = await told.receive()
        assert last == {"type": "http.disconnect"}
        assert isinstance(told.refusal, errors.DeadlineExceeded)

    run(main())


def test_behind_a_body_nothing_has_to_come() -> None:
    async def main() -> None:
        told = exchange(part(b"{}", more=False))
        await told.receive()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4 * PAUSE):
                await told.receive()  # as a route waits for its caller to leave
        assert told.refusal is None

    run(main())
