"""Work ends with the caller's connection."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from looksee.core import errors
from looksee.http.disconnect import cancel_on_disconnect, stop
from tests.support.loops import run, settle


class Line:
    """A connection whose caller hangs up when told to."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reading = 0

    async def receive(self) -> MutableMapping[str, Any]:
        self.reading += 1
        try:
            return await self.events.get()
        finally:
            self.reading -= 1

    def hang_up(self) -> None:
        self.events.put_nowait({"type": "http.disconnect"})


async def forever(log: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        log.append("cancelled")
        raise


def test_the_result_comes_back_and_the_line_is_left_alone() -> None:
    async def main() -> None:
        line = Line()

        async def work() -> int:
            await asyncio.sleep(0.01)
            return 7

        assert await cancel_on_disconnect(line.receive, work()) == 7
        await settle()
        assert line.reading == 0

    run(main())


def test_an_error_comes_back_as_it_is() -> None:
    async def main() -> None:
        async def work() -> None:
            raise errors.Overloaded("busy")

        with pytest.raises(errors.Overloaded, match="busy"):
            await cancel_on_disconnect(Line().receive, work())

    run(main())


def test_a_caller_who_leaves_cancels_the_work() -> None:
    async def main() -> None:
        line, log = Line(), list[str]()
        waiting = asyncio.create_task(cancel_on_disconnect(line.receive, forever(log)))
        await settle()
        assert log == []
        line.hang_up()
        with pytest.raises(errors.Cancelled):
            await waiting
        await settle()
        assert log == ["cancelled"]

    run(main())


def test_other_messages_are_not_a_departure() -> None:
    async def main() -> None:
        line = Line()
        go = asyncio.Event()

        async def work() -> str:
            await go.wait()
            return "done"

        waiting = asyncio.create_task(cancel_on_disconnect(line.receive, work()))
        line.events.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        await settle()
        assert not waiting.done()
        go.set()
        assert await waiting == "done"

    run(main())


def test_a_result_that_is_there_when_the_caller_leaves_is_not_lost() -> None:
    async def main() -> None:
        line = Line()
        line.hang_up()

        async def work() -> str:
            return "done"

        assert await cancel_on_disconnect(line.receive, work()) == "done"

    run(main())


def test_being_cancelled_itself_cancels_the_work() -> None:
    async def main() -> None:
        line, log = Line(), list[str]()
        waiting = asyncio.create_task(cancel_on_disconnect(line.receive, forever(log)))
        await settle()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await settle()
        assert log == ["cancelled"]
        assert line.reading == 0

    run(main())


def test_a_connection_that_cannot_be_read_is_no_departure() -> None:
    async def main() -> None:
        log = list[str]()

        async def receive() -> MutableMapping[str, Any]:
            await asyncio.sleep(0.01)
            raise RuntimeError("a defect of the server")

        with pytest.raises(RuntimeError, match="a defect of the server"):
            await cancel_on_disconnect(receive, forever(log))
        assert log == ["cancelled"]

    run(main())


def test_work_that_is_cancelled_has_ended_before_its_caller_hears_of_it() -> None:
    async def main() -> None:
        line, log = Line(), list[str]()

        async def work() -> None:
            try:
                await forever(log)
            finally:
                await settle()
                log.append("cleared up")

        waiting = asyncio.create_task(cancel_on_disconnect(line.receive, work()))
        await settle()
        line.hang_up()
        with pytest.raises(errors.Cancelled):
            await waiting
        assert log == ["cancelled", "cleared up"]

    run(main())


def test_an_error_of_work_that_is_stopped_is_not_reported_later() -> None:
    async def main() -> None:
        async def fails() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError

        async def failed() -> None:
            raise ValueError

        tasks = [asyncio.create_task(fails()), asyncio.create_task(failed())]
        await settle()
        await stop(*tasks)  # `run` fails for an exception that nobody looked at
        await stop()

    run(main())
