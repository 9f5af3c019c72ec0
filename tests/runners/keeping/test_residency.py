"""Models that are preloaded, warmed up, pinned, and released when nobody asks."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY as METRICS

from looksee.core import errors
from looksee.core.tasks import Ask
from runners.runner import Runner
from tests.engine.toy import job
from tests.runners.toys import ToyLoader, asked, configure, hold, running, state
from tests.support.loops import run, settle, until


def counted(name: str) -> float:
    """A figure of BLIP's."""
    return METRICS.get_sample_value(name, {"model": "blip"}) or 0.0


async def ready(runner: Runner) -> None:
    await until(lambda: runner._state == "ready")


def test_a_preloaded_model_is_loaded_and_warm_before_anybody_asks(
    toys: ToyLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, preload="blip")
    held, warming = threading.Event(), threading.Event()

    def on_warm_up() -> None:
        warming.set()
        hold(held)

    toys.on_warm_up = on_warm_up

    async def main() -> None:
        async with running() as (runner,):
            runner.begin()
            await until(warming.is_set)
            status = await runner.status()
            assert (status.state, status.warm, status.preloaded, runner.is_prepared) == ("loading", False, False, False)
            call = asyncio.create_task(asked(runner, "early"))  # before it is warm: it waits
            await settle()
            assert not call.done()
            held.set()
            assert await call == ["early"]
            status = await runner.status()
            assert (status.state, status.warm, status.preloaded, runner.is_prepared) == ("ready", True, True, True)
            assert toys.loads == 1

    run(main())


def test_a_model_that_is_not_preloaded_waits_for_its_first_request(
    toys: ToyLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, preload="gemma", model_capacity=0)
    warmed: list[bool] = []
    toys.on_warm_up = lambda: warmed.append(True)

    async def main() -> None:
        async with running() as (runner,):
            runner.begin()
            await settle()
            status = await runner.status()
            assert (status.state, status.preloaded, runner.is_prepared) == ("unloaded", None, True)
            assert await asked(runner, "word") == ["word"]  # which warms it
            assert not warmed
            assert (await runner.status()).warm
            await runner.unload()
            assert not (await runner.status()).warm

    run(main())


def test_warming_up_is_counted_nowhere(toys: ToyLoader, home: Path) -> None:
    names = ["looksee_new_tokens_total", "looksee_batch_rows_count", "looksee_prefill_rows_count"]
    names += ["looksee_time_to_first_token_seconds_count", "looksee_queue_seconds_count"]
    warmed: list[bool] = []
    toys.on_warm_up = lambda: warmed.append(True)

    async def main() -> None:
        async with running() as (runner,):
            before = [counted(name) for name in names]
            await runner.load()
            assert warmed
            assert [counted(name) for name in names] == before
            assert await asked(runner, "word") == ["word"]
            assert all(counted(name) > then for name, then in zip(names, before, strict=True))

    run(main())


def test_a_model_that_is_loaded_by_hand_is_warmed_up_once(toys: ToyLoader) -> None:
    warmed: list[bool] = []
    toys.on_warm_up = lambda: warmed.append(True)

    async def main() -> None:
        async with running() as (runner,):
            await runner.load()
            assert (await runner.status()).warm
            steps = len(warmed)
            await runner.load()
            assert len(warmed) == steps > 0

    run(main())


def test_a_preload_that_fails_is_tried_again_without_a_request(
    toys: ToyLoader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(monkeypatch, preload="blip", load_retry_seconds=0.2)
    broken = threading.Event()
    broken.set()

    def fail() -> None:
        if broken.is_set():
            raise errors.WeightsUnavailable("The disk is away.")

    toys.on_load = fail

    async def main() -> None:
        async with running() as (runner,):
            runner.begin()
            await until(lambda: toys.loads >= 3)
            broken.clear()
            await ready(runner)
            assert await asked(runner, "word") == ["word"]

    run(main())
    assert "blip could not be loaded: The disk is away." in caplog.text


def test_a_preload_that_failed_says_why_and_leaves_requests_alone(
    toys: ToyLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, preload="blip", load_retry_seconds=60)

    def fail() -> None:
        raise errors.WeightsUnavailable("The disk is away.")

    toys.on_load = fail

    async def main() -> None:
        async with running() as (runner,):
            runner.begin()
            await until(lambda: runner._state == "failed")
            status = await runner.status()
            assert (status.preloaded, status.failure and status.failure.message) == (False, "The disk is away.")
            assert await asked(runner, "word") == ["weights_unavailable"]
            toys.on_load = lambda: None
            await runner.load()  # by hand it is tried at once
            assert (await runner.status()).preloaded
            async with asyncio.timeout(5):
                await runner.close()

    run(main())


@pytest.mark.parametrize("error", [ValueError("broken"), errors.RunnerFailed("no finite logits")])
def test_weights_that_answer_nothing_are_not_ready(toys: ToyLoader, home: Path, error: Exception) -> None:
    def fail() -> None:
        raise error

    toys.on_warm_up = fail

    async def main() -> None:
        async with running() as (runner,):
            with pytest.raises(errors.WeightsUnavailable, match="'blip'"):
                await runner.load()
            assert (await state(runner), toys.in_memory()) == ("failed", 0)

    run(main())


def test_closing_ends_the_wait_for_the_next_try(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, preload="blip", load_retry_seconds=3600)

    def fail() -> None:
        raise OSError

    toys.on_load = fail

    async def main() -> None:
        async with running() as (runner,):
            runner.begin()
            await until(lambda: runner._state == "failed")

    run(main())
    assert toys.loads == 1


def test_a_process_that_dies_of_preloading_is_not_followed_by_another_at_once(
    toys: ToyLoader, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(monkeypatch, preload="blip", load_retry_seconds=0.3)
    marks: list[list[str]] = []
    toys.on_load = lambda: marks.append([file.name for file in (home / "looksee").glob("*.preloading")])

    async def main() -> None:
        (home / "looksee").mkdir()
        (home / "looksee" / "blip.preloading").touch()  # of a process that was killed
        async with running() as (runner,):
            runner.begin()
            await asyncio.sleep(0.1)
            assert toys.loads == 0
            await ready(runner)
            assert marks == [["blip.preloading"]]
            assert not list((home / "looksee").glob("*.preloading"))

    run(main())
    assert "died" in caplog.text


def test_a_pinned_model_makes_no_room(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, pin="blip", model_capacity=2)

    async def main() -> None:
        async with running("blip", "gemma", "blip2") as (blip, gemma, blip2):
            for runner in (blip, gemma, blip2):  # the least recently used is the pinned one
                assert await asked(runner, "word") == ["word"]
            assert [await state(runner) for runner in (blip, gemma, blip2)] == ["ready", "unloaded", "ready"]
            assert [(await runner.status()).pinned for runner in (blip, gemma)] == [True, False]
            await blip.unload()  # which an operator may
            assert await state(blip) == "unloaded"

    run(main())


def test_where_all_are_pinned_others_are_told_to_come_again(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, pin="blip", load_wait_seconds=0.2)

    async def main() -> None:
        async with running("blip", "gemma") as (blip, gemma):
            assert await asked(blip, "word") == ["word"]
            assert await asked(gemma, "word") == ["model_not_ready"]
            assert await state(blip) == "ready"

    run(main())


def test_a_model_that_nobody_asks_is_released(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, keep_alive_seconds=0.3)

    async def main() -> None:
        async with running() as (runner,):
            assert await asked(runner, "word") == ["word"]
            status = await runner.status()
            assert status.expires is not None
            assert status.last_use is not None
            assert status.expires - status.last_use == pytest.approx(0.3, abs=0.05)
            await until(lambda: runner._state == "unloaded")
            assert toys.in_memory() == 0
            assert (await runner.status()).expires is None
            assert await asked(runner, "again") == ["again"]
            assert toys.loads == 2

    run(main())


@pytest.mark.parametrize("settings", [{"keep_alive_seconds": 0}, {"keep_alive_seconds": 0.1, "pin": "blip"}])
def test_a_model_stays_without_such_a_time_or_pinned(
    toys: ToyLoader, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    configure(monkeypatch, **settings)

    async def main() -> None:
        async with running() as (runner,):
            assert await asked(runner, "word") == ["word"]
            await asyncio.sleep(0.3)
            status = await runner.status()
            assert (status.state, status.expires) == ("ready", None)

    run(main())


def test_a_model_at_work_is_not_released_for_want_of_requests(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, keep_alive_seconds=0.1)
    held = threading.Event()
    toys.on_step = lambda words: hold(held)

    async def main() -> None:
        async with running() as (runner,):
            call = asyncio.create_task(asked(runner, "word"))
            await until(lambda: runner._gate.active == 1)
            await asyncio.sleep(0.3)
            held.set()
            assert await call == ["word"]
            assert toys.loads == 1

    run(main())


def test_the_time_of_a_request_stands_still_while_its_model_loads(toys: ToyLoader) -> None:
    held = threading.Event()
    toys.on_load = lambda: hold(held)

    async def main() -> None:
        async with running() as (runner,):
            told: list[float] = []
            call = asyncio.create_task(runner.infer(Ask(job("word"), 0.2, waits_apart=True), None, told.append))
            await asyncio.sleep(0.4)  # longer than all of its time
            assert told == [60]
            held.set()
            assert (await call).answer is not None
            assert told == [60, 0]
            assert (await runner.infer(Ask(job("word"), 5, waits_apart=True), None, told.append)).answer is not None
            assert told == [60, 0]  # nothing is told where nobody waits

    run(main())


def test_a_callers_own_time_is_over_while_the_model_loads(toys: ToyLoader) -> None:
    held = threading.Event()
    toys.on_load = lambda: hold(held)

    async def main() -> None:
        async with running() as (runner,):
            reply = await runner.infer(Ask(job("word"), 0.1))
            assert reply.failure is not None
            assert reply.failure.code == "model_not_ready"
            held.set()

    run(main())
