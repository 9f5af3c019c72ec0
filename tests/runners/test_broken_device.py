"""A broken device, and work that stands still, end the process: calls are answered, and the lease is free."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from looksee.core.tasks import Ask, Reply
from runners import memory
from runners.guarding import ending, watchdog
from runners.runner import Runner
from tests.engine.toy import AcceleratorError, ToyModel, job
from tests.runners.toys import ToyLoader, configure, lease_of, running, state
from tests.support.loops import PATIENCE, run, until

ASSERT = "CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."


def fail() -> None:
    raise AcceleratorError(ASSERT)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set where the process would end."""
    happened = threading.Event()
    monkeypatch.setattr(ending, "end_process", happened.set)
    monkeypatch.setattr(ending, "_LAST_SECONDS", 0.0)
    return happened


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What hangs until it is set."""
    until_then = threading.Event()
    let_go = threading.Timer(PATIENCE / 2, until_then.set)  # no thread outlives a test that fails
    let_go.start()
    yield until_then
    let_go.cancel()
    until_then.set()


def hang(until_then: threading.Event) -> None:
    until_then.wait()


def all_told(replies: list[Reply]) -> bool:
    return {reply.failure and (reply.failure.code, bool(reply.failure.retry_after)) for reply in replies} == {
        ("runner_failed", True)
    }


async def infer(runner: Runner, *words: str) -> list[Reply]:
    return await asyncio.gather(*(runner.infer(Ask(job(word), 20)) for word in words))


def in_prefill(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.on_prefill = lambda words: fail()


def in_step(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.on_step = lambda words: fail()


def in_join(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.on_join = fail


def in_sample(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyModel, "sample", lambda self, batch: fail())


def in_keep_rows(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyModel, "keep_rows", lambda self, batch, keep: fail())


def in_release_memory(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    """After memory ran out in a step."""

    def run_out(words: list[str]) -> None:
        raise MemoryError

    toys.on_step = run_out
    monkeypatch.setattr(ToyModel, "release_memory", lambda self: fail())


VERBS = [in_prefill, in_step, in_join, in_sample, in_keep_rows, in_release_memory]


@pytest.mark.parametrize("breaks", VERBS, ids=[one.__name__ for one in VERBS])
def test_a_broken_device_in_any_verb_ends_the_process(
    breaks: Callable[[ToyLoader, pytest.MonkeyPatch], None],
    toys: ToyLoader,
    home: Path,
    ended: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    toys.delay = 0.02

    async def main() -> None:
        async with running() as (runner,):
            await runner.load()
            breaks(toys, monkeypatch)
            early = asyncio.create_task(infer(runner, "a long word that goes on"))
            await asyncio.sleep(0.05)
            replies = await infer(runner, "a", "word", "of", "others") + await early
            broken = [reply for reply in replies if reply.answer is None]  # short words end before a later verb
            assert broken
            assert all_told(broken)
            assert await asyncio.to_thread(ended.wait, 10)
            async with asyncio.timeout(10):
                (await lease_of(home)).release()  # before the runner is closed
            calls = toys.loads
            assert all_told(await infer(runner, "later"))
            assert (await state(runner), toys.loads) == ("failed", calls)

    run(main())
    assert "the process of blip ends: the device is broken, as" in caplog.text
    assert "device-side assert" in caplog.text


def test_after_it_no_verb_is_tried_again(toys: ToyLoader, ended: threading.Event, held: threading.Event) -> None:
    """Rows of a failed prefill are otherwise prefilled again, one by one."""
    calls: list[list[str]] = []

    def once(words: list[str]) -> None:
        if words != ["first"]:
            calls.append(words)
            fail()

    async def main() -> None:
        async with running() as (runner,):
            await runner.load()
            toys.on_prefill = once
            toys.on_step = lambda words: hang(held)
            first = asyncio.create_task(infer(runner, "first"))
            await until(lambda: runner._gate.active == 1)
            others = asyncio.create_task(infer(runner, "a", "b", "c"))
            await until(lambda: runner._gate.active == 4)
            await asyncio.sleep(0.2)  # until they are prepared
            toys.on_step = lambda words: None
            held.set()
            assert all_told(await others)
            await first

    run(main())
    assert [sorted(words) for words in calls] == [["a", "b", "c"]]


def test_another_error_ends_nothing(toys: ToyLoader, ended: threading.Event) -> None:
    def refuse(words: list[str]) -> None:
        if "bad" in words:
            raise RuntimeError("size mismatch, and CUDA error: out of memory")

    async def main() -> None:
        async with running() as (runner,):
            toys.on_step = refuse
            good, bad = await infer(runner, "good", "bad")
            assert good.answer is not None
            assert bad.failure is not None
            assert not ended.is_set()
            assert await state(runner) == "ready"

    run(main())


def test_a_broken_device_while_loading(
    toys: ToyLoader, home: Path, ended: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    toys.on_load = fail

    async def main() -> None:
        async with running() as (runner,):
            assert all_told(await infer(runner, "a", "b"))
            assert await asyncio.to_thread(ended.wait, 10)
            async with asyncio.timeout(10):
                (await lease_of(home)).release()
            assert all_told(await infer(runner, "c"))
            assert toys.loads == 1

    run(main())
    assert "as loading found" in caplog.text


@pytest.mark.parametrize("error", [AcceleratorError(ASSERT), OSError("whatever")], ids=["broken", "another"])
def test_a_release_that_fails_ends_the_process_and_frees_the_lease(
    error: Exception,
    toys: ToyLoader,
    home: Path,
    ended: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def release() -> None:
        raise error

    async def main() -> None:
        async with running("blip", "gemma") as (blip, gemma):
            await blip.load()
            monkeypatch.setattr(memory, "release_unused", release)
            await blip.unload()
            assert await asyncio.to_thread(ended.wait, 10)
            monkeypatch.undo()
            assert all_told(await infer(blip, "word"))
            async with asyncio.timeout(10):
                (await lease_of(home)).release()
            del gemma

    run(main())
    assert "the weights could not be released" in caplog.text
    assert str(error).partition("\n")[0] in caplog.text


def test_a_step_that_never_ends(
    toys: ToyLoader,
    home: Path,
    ended: threading.Event,
    held: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(monkeypatch, stall_seconds=0.4)

    async def main() -> None:
        async with running() as (runner,):
            await runner.load()
            toys.on_step = lambda words: hang(held)
            started = time.monotonic()
            assert all_told(await infer(runner, "a", "b"))
            assert 0.4 < time.monotonic() - started < 15
            assert await asyncio.to_thread(ended.wait, 10)
            async with asyncio.timeout(10):
                (await lease_of(home)).release()
            assert all_told(await infer(runner, "c"))
            held.set()

    run(main())
    assert "step stood still for 0.4 s" in caplog.text
    assert "until_then.wait()" in caplog.text  # where it hangs


def test_a_load_that_never_ends(
    toys: ToyLoader, ended: threading.Event, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, stall_seconds=0.4)
    toys.on_load = lambda: hang(held)

    async def main() -> None:
        async with running() as (runner,):
            assert all_told(await infer(runner, "a"))
            assert await asyncio.to_thread(ended.wait, 10)
            held.set()

    run(main())


def test_a_release_that_never_ends(
    toys: ToyLoader, home: Path, ended: threading.Event, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, stall_seconds=0.4)

    async def main() -> None:
        async with running() as (runner,):
            await runner.load()
            monkeypatch.setattr(memory, "release_unused", held.wait)
            unload = asyncio.create_task(runner.unload())
            assert await asyncio.to_thread(ended.wait, 10)
            async with asyncio.timeout(10):
                (await lease_of(home)).release()
            held.set()
            await unload

    run(main())


def test_what_moves_does_not_stand_still(
    toys: ToyLoader, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a step far longer than the limit, of short operations, nor many steps, nor a model that is idle."""
    configure(monkeypatch, stall_seconds=0.8)

    def work(words: list[str]) -> None:
        if words == ["s"]:
            end = time.monotonic() + 1.6
            while time.monotonic() < end:
                time.sleep(0.02)
                time.sleep(0.03)

    async def main() -> None:
        async with running() as (runner,):
            toys.on_step = work
            (reply,) = await infer(runner, "s")
            assert reply.answer is not None
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                await infer(runner, "quick")
            await asyncio.sleep(1.2)
            assert not ended.is_set()

    run(main(), seconds=60)


@pytest.mark.skipif(sys.platform != "linux", reason="it is seen in /proc")
def test_a_load_that_reads_does_not_stand_still(
    toys: ToyLoader, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is at one instruction all the time."""
    configure(monkeypatch, stall_seconds=0.8)
    out, into = os.pipe()

    def feed() -> None:
        for _ in range(32):
            os.write(into, b"x")
            time.sleep(0.05)
        os.close(into)

    def read() -> None:
        threading.Thread(target=feed).start()
        while os.read(out, 1):
            pass
        os.close(out)

    toys.on_load = read

    async def main() -> None:
        async with running() as (runner,):
            (reply,) = await infer(runner, "word")
            assert reply.answer is not None

    run(main())
    assert not ended.is_set()


def test_a_machine_that_was_stopped_is_no_stall(ended: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes on meanwhile; a look counts for two pauses at most."""
    stalls: list[str] = []
    clock = [0.0]
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    dog = watchdog.Watchdog(2.0, lambda: True, stalls.append)

    class Over:
        looks = 0

        def wait(self, pause: float) -> bool:
            self.looks += 1
            clock[0] += 1000.0 if self.looks == 2 else pause
            return self.looks == 10

    dog._watch(Over())  # type: ignore[arg-type]
    assert stalls == []


def test_what_begins_anew_does_not_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that are too quick to be seen under way."""
    stalls: list[str] = []
    clock = [0.0]
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    dog = watchdog.Watchdog(2.0, lambda: True, stalls.append)

    class Over:
        looks = 0
        steps = True

        def wait(self, pause: float) -> bool:
            self.looks += 1
            clock[0] += pause
            if self.steps:
                with dog.watching("step"):
                    pass
            return self.looks == 100

    over = Over()
    dog._watch(over)  # type: ignore[arg-type]
    assert stalls == []
    over.looks, over.steps = 0, False
    dog._watch(over)  # type: ignore[arg-type]
    assert len(stalls) == 1


def test_a_loaded_model_is_watched_and_an_unloaded_one_not(toys: ToyLoader) -> None:
    def watching() -> int:
        return sum(thread.name == "watchdog" for thread in threading.enumerate())

    async def main() -> None:
        async with running() as (runner,):
            assert watching() == 0
            await runner.load()
            assert watching() == 1
            await runner.unload()
            await until(lambda: watching() == 0)

    run(main())
