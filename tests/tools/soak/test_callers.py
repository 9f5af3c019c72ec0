"""The long run sees an answer of another picture, in whichever dialect it comes. The service is one of this file's."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.support.loops import run, until
from tools.soak import callers, container
from tools.soak.callers import Callers, Known, Tally
from tools.soak.dialects import Dialect
from tools.soak.questions import CAPTION, DETECT, QUERY, Sight, SoakQuestion, drawn, same

SIGHTS = drawn(3, "test")
SAID = [sight.scene.caption() for sight in SIGHTS]


def known(kind: str = CAPTION) -> list[Known]:
    return [
        Known(SoakQuestion("moondream", kind, (sight,), "What?", said), said)
        for sight, said in zip(SIGHTS, SAID, strict=True)
    ]


Answer = Callable[[str], web.Response]


@asynccontextmanager
async def service(answer: Answer) -> AsyncIterator[str]:
    """Each route answers what `answer` makes of the caption of the picture that was sent."""

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        return answer(next(said for said, sight in zip(SAID, SIGHTS, strict=True) if of(sight) in body))

    def of(sight: Sight) -> bytes:
        return encoded(sight.data)

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def encoded(data: bytes) -> bytes:
    """A part of the picture that is in its base64, whatever is behind it."""
    return base64.b64encode(data[:300])


def native(said: str, **more: Any) -> web.Response:
    return web.json_response({"caption": said, "answer": said, "cache": True, **more})


async def asked(answer: Answer, seconds: float = 0.5) -> Tally:
    """What a moment of asking comes to, in the native dialect alone."""
    only = (Dialect("native", frozenset({CAPTION, QUERY}), container.native),)
    async with service(answer) as url:
        told = Callers(url, known(), "test")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(callers, "DIALECTS", only)
            work = asyncio.create_task(told.go_on(2))
            tally = told.tally
            await until(lambda: bool(tally.right or tally.wrong or tally.refused or tally.unexpected))
            await asyncio.sleep(seconds)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
    return told.tally


def test_right_answers_are_right() -> None:
    tally = run(asked(native))
    assert tally.right["native"] > 2
    assert not tally.wrong
    assert tally.cached == tally.right["native"]


def test_now_and_then_the_answer_of_another_picture() -> None:
    numbers = itertools.count()

    def swapped(said: str) -> web.Response:
        return native(SAID[(SAID.index(said) + 1) % len(SAID)] if next(numbers) % 5 == 4 else said)

    tally = run(asked(swapped))
    assert tally.wrong
    assert all(wrong["answer of others"] == 1 for wrong in tally.wrong)


def test_an_answer_that_is_none() -> None:
    tally = run(asked(lambda said: web.json_response({"status": "success"})))
    assert tally.wrong


@pytest.mark.parametrize(("code", "status", "explained"), [("runner_failed", 502, True), ("invalid_value", 422, False)])
def test_only_what_a_fault_explains_may_be_refused(code: str, status: int, explained: bool) -> None:
    tally = run(asked(lambda said: web.json_response({"error": {"code": code}}, status=status)))
    assert bool(tally.refused) is explained
    assert bool(tally.unexpected) is not explained


def test_what_is_one_answer() -> None:
    assert same("a", "a")
    assert not same("a", "a ")
    assert same(((0.1, 0.2),), ((0.105, 0.2),))
    assert not same(((0.1, 0.2),), ((0.2, 0.2),))
    assert not same(((0.1, 0.2),), ())
    assert not same("", ())


def test_a_question_knows_the_truth_of_its_scene() -> None:
    (sight, *_) = SIGHTS
    things = sight.scene.things
    boxes = tuple((t.x - t.half_width, t.y - t.half_height, t.x + t.half_width, t.y + t.half_height) for t in things)
    question = SoakQuestion("moondream", DETECT, (sight,), "shape", things)
    assert question.is_true(boxes)
    assert not question.is_true(boxes[:-1])
