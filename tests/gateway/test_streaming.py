"""The desk tells an answer's text as it comes: to the first who asks, to those who join, and from the cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Answer, Call, Event, Failure, Reply, Sampling
from looksee.gateway.answering import AnsweringService, ServedAnswer
from looksee.gateway.broadcast import TextBroadcast
from tests.gateway.proxy import IDENTITY, FakeProxy, answer_to
from tests.gateway.test_answering import ask, changed, house, question, texts
from tests.support.loops import run, settle


class Slow:
    """Tells `a ant` in pieces, each when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Semaphore(0)
        self.over = asyncio.Event()

    async def after(self, call: Call) -> AsyncIterator[Event]:
        (only,) = call.asks
        for piece in ("a ", "a", "nt"):
            await self.go.acquire()
            if only.followed:
                yield Event(0, piece)
        await self.go.acquire()
        yield Event(0, reply=answer_to(only.job), identity=IDENTITY)


async def follow(answering: AnsweringService, name: str = "ant") -> list[str | ServedAnswer]:
    return [piece async for piece in answering.follow("blip", question(name), timeout=5)]


def test_the_text_comes_in_pieces_and_then_the_answer() -> None:
    async def main() -> None:
        slow = Slow()
        answering, shelf = house(FakeProxy(after=slow.after))
        pieces = answering.follow("blip", question("ant"), timeout=5, request_id="id-1")
        for piece in ("a ", "a", "nt"):
            coming = asyncio.ensure_future(anext(pieces))
            await settle(20)
            assert not coming.done()
            slow.go.release()
            assert await coming == piece
        slow.go.release()
        last = await anext(pieces)
        assert isinstance(last, ServedAnswer)
        assert (last.answer.text, last.identity, last.cached) == ("a ant", IDENTITY, False)
        assert [piece async for piece in pieces] == []
        assert len(shelf.stored) == 1

    run(main())


def test_a_stored_answer_can_be_followed_too() -> None:
    async def main() -> None:
        answering, _ = house(FakeProxy())
        await ask(answering, question("ant"))
        text, last = await follow(answering)
        assert text == "a ant"
        assert isinstance(last, ServedAnswer)
        assert last.cached

    run(main())


def test_who_joins_hears_what_was_told_and_what_comes() -> None:
    async def main() -> None:
        slow = Slow()
        proxy = FakeProxy(after=slow.after)
        answering, _ = house(proxy)
        first = asyncio.create_task(follow(answering))
        await settle(20)
        slow.go.release()
        slow.go.release()
        await settle(20)
        second, plain = asyncio.create_task(follow(answering)), asyncio.create_task(ask(answering, question("ant")))
        await settle(20)
        slow.go.release()
        slow.go.release()
        assert [piece for piece in await first if isinstance(piece, str)] == ["a ", "a", "nt"]
        assert [piece for piece in await second if isinstance(piece, str)] == ["a a", "nt"]
        assert texts(await plain) == ["a ant"]
        assert len(proxy.calls) == 1

    run(main())


def test_who_follows_what_somebody_else_only_asked_hears_it_in_the_end() -> None:
    async def main() -> None:
        slow = Slow()
        proxy = FakeProxy(after=slow.after)
        answering, _ = house(proxy)
        plain = asyncio.create_task(ask(answering, question("ant")))
        await settle(20)
        followed = asyncio.create_task(follow(answering))
        await settle(20)
        for _ in range(4):
            slow.go.release()
        assert (await followed)[0] == "a ant"
        assert texts(await plain) == ["a ant"]
        assert len(proxy.calls) == 1

    run(main())


def test_the_last_who_leaves_calls_it_off_and_the_first_does_not() -> None:
    async def main() -> None:
        slow = Slow()
        proxy = FakeProxy(after=slow.after)
        answering, shelf = house(proxy)
        first, second = asyncio.create_task(follow(answering)), asyncio.create_task(follow(answering))
        await settle(20)
        slow.go.release()
        await settle(20)
        first.cancel()
        await settle(20)
        assert proxy.cancelled == []
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await settle(20)
        assert proxy.cancelled == [(proxy.calls[0].call.id, 0)]
        assert shelf.stored == {}
        for _ in range(4):
            slow.go.release()
        await settle(20)

    run(main())


def test_what_cannot_be_had_again_is_followed_alone() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, _ = house(proxy)
        drawn = changed(question("ant"), sampling=Sampling(temperature=1))
        text, _last = [piece async for piece in answering.follow("blip", drawn, timeout=5)]
        assert text == "a ant"
        assert [ask.followed for ask in proxy.calls[0].call.asks] == [True]

    run(main())


def test_an_error_is_raised_before_and_after_the_first_piece() -> None:
    async def main() -> None:
        refused = Reply(failure=Failure.of(errors.Overloaded("full", retry_after=3)))

        async def late(call: Call) -> AsyncIterator[Event]:
            yield Event(0, "a ")
            yield Event(0, reply=refused, identity=IDENTITY)

        answering, _ = house(FakeProxy(answer=lambda _: refused))
        with pytest.raises(errors.Overloaded):
            await follow(answering)
        answering, _ = house(FakeProxy(after=late))
        pieces = answering.follow("blip", question("ant"), timeout=5)
        assert await anext(pieces) == "a "
        with pytest.raises(errors.Overloaded):
            await anext(pieces)

    run(main())


def test_who_follows_after_all_others_left_hears_everything() -> None:
    async def main() -> None:
        slow = Slow()
        proxy = FakeProxy(after=slow.after)
        answering, _ = house(proxy)
        first, plain = asyncio.create_task(follow(answering)), asyncio.create_task(ask(answering, question("ant")))
        await settle(20)
        slow.go.release()
        await settle(20)
        first.cancel()
        await settle(20)
        slow.go.release()
        await settle(20)
        second = asyncio.create_task(follow(answering))
        await settle(20)
        slow.go.release()
        slow.go.release()
        assert [piece for piece in await second if isinstance(piece, str)] == ["a a", "nt"]
        assert texts(await plain) == ["a ant"]
        assert len(proxy.calls) == 1

    run(main())


class Hasty:
    """Tells the beginning of a text and fails at its deadline; the second time it tells a whole text."""

    def __init__(self, pieces: tuple[str, ...]) -> None:
        self.pieces = pieces
        self.given: list[float] = []

    async def after(self, call: Call) -> AsyncIterator[Event]:
        (only,) = call.asks
        self.given.append(only.timeout)
        if len(self.given) == 1:
            yield Event(0, "a a")
            await asyncio.sleep(only.timeout)
            yield Event(0, reply=Reply(failure=Failure.of(errors.DeadlineExceeded("late"))), identity=IDENTITY)
            return
        for piece in self.pieces:
            yield Event(0, piece)
        yield Event(0, reply=Reply(Answer("".join(self.pieces), "stop", 1, 2)), identity=IDENTITY)


async def hastily(hasty: Hasty) -> tuple[list[str], BaseException | None]:
    """The pieces sent to a caller with much time that joins the run of one with little, and the error at its end."""
    answering, _ = house(FakeProxy(after=hasty.after))
    first = asyncio.create_task(anext(answering.follow("blip", question("ant"), timeout=0.05)))
    await settle(20)
    heard: list[str] = []
    try:
        async for piece in answering.follow("blip", question("ant"), timeout=50):
            if isinstance(piece, str):
                heard += [piece]
    except errors.LookseeError as error:
        return heard, error
    finally:
        await first
        assert [round(given, -1) for given in hasty.given] == [0, 50]
    return heard, None


def test_a_text_that_is_begun_anew_is_not_told_twice() -> None:
    async def main() -> None:
        assert await hastily(Hasty(("a ", "an", "t"))) == (["a a", "n", "t"], None)

    run(main())


def test_a_text_that_goes_another_way_when_it_is_begun_anew_is_an_error() -> None:
    async def main() -> None:
        heard, error = await hastily(Hasty(("an ", "an", "t")))
        assert heard == ["a a", "an", "t"]
        assert isinstance(error, errors.RunnerFailed)

    run(main())


def test_nobody_hears_after_leaving() -> None:
    heard: list[str] = []
    broadcast = TextBroadcast()
    broadcast.add(heard.append)
    tell = broadcast.sender()
    assert tell is not None
    tell("a ")
    broadcast.remove(heard.append)
    tell("b")
    broadcast.add(heard.append)
    tell("c")
    assert heard == ["a ", "a b", "c"]


def test_where_nobody_listens_nothing_need_be_told() -> None:
    assert TextBroadcast().sender() is None


def test_who_leaves_a_stream_waits_for_its_end_and_hears_nothing_of_it() -> None:
    async def main() -> None:
        slow, log = Slow(), list[str]()
        answering, _ = house(FakeProxy(after=slow.after))
        original = answering.answer

        async def answer(*args: Any, **how: Any) -> Any:
            try:
                return await original(*args, **how)
            except asyncio.CancelledError:
                await settle()
                log.append("ended")
                raise errors.RunnerFailed("while it was given up") from None

        answering.answer = answer  # type: ignore[method-assign]
        pieces = answering.follow("blip", question("ant"), timeout=5)
        slow.go.release()
        assert await anext(pieces) == "a "
        await pieces.aclose()
        assert log == ["ended"]  # and `run` fails for an exception that nobody looked at
        for _ in range(3):
            slow.go.release()
        await settle(30)

    run(main())
