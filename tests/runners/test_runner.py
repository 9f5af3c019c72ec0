"""A runner with a toy model: it loads on demand, waits for a lease, gives it up to others, and drops no call."""

from __future__ import annotations

import asyncio
import errno
import gc
import itertools
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Ask, Failure, Reply
from looksee.models.registry.blip import BlipSettings
from runners import capacity, lifecycle, model_loader
from runners import runner as runner_module
from runners.model_loader import ModelLoader
from runners.runner import Runner
from tests.engine.toy import ToyModel, job
from tests.runners.toys import ToyLoader, asked, configure, hold, lease_of, running, state
from tests.support.loops import run, settle, until

LONG = "a story without end " * 2  # 40 steps


def test_concurrent_calls_load_the_weights_once(toys: ToyLoader) -> None:
    async def main() -> None:
        async with running() as (runner,):
            assert await state(runner) == "unloaded"
            began = time.time()
            assert await asyncio.gather(*(asked(runner, word) for word in ("one", "two", "three"))) == [
                ["one"],
                ["two"],
                ["three"],
            ]
            status = await runner.status()
            assert (status.state, status.in_flight, status.queued, toys.loads) == ("ready", 0, 0, 1)
            assert status.last_use is not None
            assert began - 0.1 < status.last_use < time.time() + 0.1
            assert status.memory_bytes is None or status.memory_bytes > 2**20
        assert (await state(runner), toys.in_memory()) == ("unloaded", 0)

    run(main())


def test_a_model_that_is_unloaded_leaves_nothing_and_comes_back(toys: ToyLoader, home: Path) -> None:
    async def main() -> None:
        async with running() as (runner,):
            for count in (1, 2, 3):
                assert await asked(runner, "word") == ["word"]
                assert toys.in_memory() == 1
                await runner.unload()
                gc.collect()
                assert (await state(runner), toys.in_memory(), toys.loads) == ("unloaded", 0, count)
                assert not [thread for thread in threading.enumerate() if thread.name == "device"]
            await runner.unload()  # no-op
            (await lease_of(home)).release()  # and the lease is free

    run(main())


@pytest.mark.parametrize(
    ("own", "same"),
    [
        ({"tiles": 4}, False),
        ({"feature_bytes": 9}, True),
        ({"dtype": "float16"}, False),  # which auto is nowhere
    ],
)
def test_options_that_change_answers_change_the_identity(
    toys: ToyLoader, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any], same: bool
) -> None:
    async def main() -> None:
        async with running() as (plain,):
            await plain.load()
            assert set(toys.how) == {"device", "dtype", "samples", "graph_rows"}
            if "dtype" in own:
                configure(monkeypatch, dtype=own["dtype"])
            else:
                monkeypatch.setattr(BlipSettings, "options", lambda self, *, sample: {} if sample else own)
                monkeypatch.setattr(BlipSettings, "without_effect", lambda self: frozenset({"feature_bytes"}))
            other = Runner("blip")
            before = await other.identity()
            await other.load()
            assert toys.how == {**toys.how, **own}
            assert before == await other.identity()
            assert (before == await plain.identity()) is same
            assert before.revision == (await plain.identity()).revision
            await other.close()

    run(main())


def test_waiting_for_a_lease_shows_in_the_status(toys: ToyLoader, home: Path) -> None:
    async def main() -> None:
        async with running() as (runner,):
            lease = await lease_of(home)
            call = asyncio.create_task(asked(runner, "word"))
            await until(lambda: lease.seconds_requested() is not None)
            status = await runner.status()
            assert (status.state, status.queued, status.in_flight, toys.loads) == ("waiting", 1, 0, 0)
            lease.release()
            assert await call == ["word"]

    run(main())


def test_a_call_that_waits_too_long_is_told_to_retry(
    toys: ToyLoader, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, load_wait_seconds=0.1)

    async def main() -> None:
        async with running() as (runner,):
            lease = await lease_of(home)
            answers = await asyncio.gather(*(runner.infer(Ask(job(word), 5)) for word in ("one", "two")))
            first, second = (answer.failure for answer in answers)
            assert first == second
            assert isinstance(first, Failure)
            assert (first.code, first.retry_after) == ("model_not_ready", 5)
            with pytest.raises(errors.ModelNotReady):
                await runner.load()
            assert lease.seconds_requested() is not None  # the caller will retry: the place in the queue is kept
            lease.release()
            await until(lambda: toys.loads == 1)
            assert await asked(runner, "word") == ["word"]

    run(main())


def test_a_runner_whose_only_caller_left_leaves_the_queue(toys: ToyLoader, home: Path) -> None:
    async def main() -> None:
        async with running() as (runner,):
            lease = await lease_of(home)
            call = asyncio.create_task(asked(runner, "word"))
            await until(lambda: lease.seconds_requested() is not None)
            call.cancel()
            await until(lambda: lease.seconds_requested() is None)
            lease.release()
            await asyncio.sleep(0.1)
            assert (await state(runner), toys.loads) == ("unloaded", 0)

    run(main())


def test_a_failed_load_fails_all_waiting_calls_and_is_retried_later(
    toys: ToyLoader, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held: list[weakref.ref[ToyModel]] = []

    def fail() -> None:
        half = ToyModel()
        held.append(weakref.ref(half))
        raise OSError("/secret/path is broken")

    toys.on_load = fail

    async def main() -> None:
        async with running() as (runner,):
            answers: list[Reply] = await asyncio.gather(*(runner.infer(Ask(job("word"), 5)) for _ in range(3)))
            failures = [answer.failure for answer in answers]
            assert {failure.code for failure in failures if failure} == {"weights_unavailable"}
            assert "secret" not in str(failures)
            status = await runner.status()
            assert (status.state, status.failure) == ("failed", failures[0])
            assert await asked(runner, "word") == ["weights_unavailable"]
            assert toys.loads == 1  # the failure is remembered
            assert held[0]() is None  # and nothing is kept of what was loaded
            (await lease_of(home)).release()  # not even the lease
            with pytest.raises(errors.WeightsUnavailable):
                await runner.load()  # an explicit load is tried again
            assert toys.loads == 2
            toys.on_load = lambda: None
            configure(monkeypatch, load_retry_seconds=0)
            assert await asked(runner, "word") == ["word"]
            assert (await runner.status()).failure is None

    run(main())
    assert "/secret/path" in caplog.text


def test_a_process_whose_libraries_are_imported_half_way_is_replaced(
    toys: ToyLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cannot be imported again in it; what failed is told meanwhile, and no further request tries."""
    ended, tries = threading.Event(), []

    def broken(name: str) -> None:
        tries.append(name)
        raise ImportError("failed to map segment from shared object")

    monkeypatch.setattr(model_loader, "_import_libraries", broken)
    monkeypatch.setattr(lifecycle, "stop_process", ended.set)
    configure(monkeypatch, load_retry_seconds=0.3)

    async def main() -> None:
        async with running() as (runner,):
            assert await asked(runner, "one", "two") == ["weights_unavailable"] * 2
            assert not ended.is_set()
            assert await asked(runner, "three") == ["weights_unavailable"]
            await until(ended.is_set)
            assert tries == ["blip"]

    run(main())


def test_missing_weights_request_no_lease(toys: ToyLoader, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, blip=BlipSettings(weights=str(home / "nowhere")))

    async def main() -> None:
        lease = await lease_of(home)
        async with running() as (runner,):
            assert await asked(runner, "word") == ["weights_unavailable"]
        assert lease.seconds_requested() is None
        lease.release()

    run(main())


def test_load_and_unload_by_hand(toys: ToyLoader) -> None:
    async def main() -> None:
        async with running() as (runner,):
            await runner.load()
            await runner.load()
            assert (await state(runner), toys.loads) == ("ready", 1)
            await runner.unload()
            assert (await state(runner), toys.in_memory()) == ("unloaded", 0)

    run(main())


def test_unloading_waits_for_active_calls_and_new_ones_for_the_next_load(toys: ToyLoader) -> None:
    held = threading.Event()
    toys.on_step = lambda words: hold(held)

    async def main() -> None:
        async with running() as (runner,):
            await runner.load()
            early = asyncio.create_task(asked(runner, "early"))
            await until(lambda: runner._gate.active == 1)
            unload = asyncio.create_task(runner.unload())
            await until(lambda: not runner._gate.is_open)
            late = asyncio.create_task(asked(runner, "late"))
            await until(lambda: runner._gate.waiting == 1)
            status = await runner.status()
            assert (status.state, status.in_flight, status.queued, toys.loads) == ("ready", 1, 1, 1)
            held.set()
            await unload
            assert early.done()
            assert await early == ["early"]
            assert await late == ["late"]
            assert toys.loads == 2

    run(main())


def test_calls_that_waited_for_the_weights_are_served_before_an_unload(toys: ToyLoader) -> None:
    held = threading.Event()
    toys.on_load = lambda: hold(held)

    async def main() -> None:
        async with running() as (runner,):
            call = asyncio.create_task(asked(runner, "word"))
            await until(lambda: toys.loads == 1)
            unload = asyncio.create_task(runner.unload())
            await settle()
            held.set()
            assert await call == ["word"]
            await unload
            assert (await state(runner), toys.loads) == ("unloaded", 1)

    run(main())


def test_an_unload_that_takes_too_long_is_given_up(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_UNLOAD_TIMEOUT", 0.15)
    going = threading.Event()
    toys.on_step = lambda words: hold(going, 0.2)

    async def main() -> None:
        async with running() as (runner,):
            await runner.load()
            call = asyncio.create_task(asked(runner, LONG))
            await until(lambda: runner._gate.active == 1)
            with pytest.raises(errors.ModelNotReady) as caught:
                await runner.unload()
            assert caught.value.retry_after
            assert await asked(runner, "x") == ["x"]  # new calls are served again, beside the old one
            assert not call.done()
            going.set()
            assert await call == [LONG]
            assert toys.loads == 1

    run(main())


def test_an_idle_model_releases_its_lease_at_once(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before its turn is over: that would be too late for the call."""
    monkeypatch.setattr(lifecycle, "_MIN_TURN", 3600)

    async def main() -> None:
        async with running("blip", "gemma") as (blip, gemma):
            assert await asked(blip, "one") == ["one"]
            assert await asked(gemma, "two", timeout=10) == ["two"]
            assert (await state(blip), await state(gemma), toys.in_memory()) == ("unloaded", "ready", 1)

    run(main())


def test_a_lease_is_kept_while_a_call_is_active(toys: ToyLoader) -> None:
    toys.delay = 0.08

    async def main() -> None:
        async with running("blip", "gemma") as (blip, gemma):
            await blip.load()
            long = asyncio.create_task(asked(blip, "ten letters"))  # 0.9 s or more: far longer than a turn
            await until(lambda: blip._gate.active == 1)
            waiting = asyncio.create_task(asked(gemma, "x"))
            done, _ = await asyncio.wait((long, waiting), return_when=asyncio.FIRST_COMPLETED)
            assert done == {long}
            assert await long == ["ten letters"]
            assert await waiting == ["x"]

    run(main())


def test_constant_load_starves_no_model(toys: ToyLoader) -> None:
    """Two models under constant load take turns, of about the length that is a turn here (0.2 s).

    A busy machine makes turns longer, and answers less in each.
    """
    toys.delay = 0.01
    loads: list[float] = []
    toys.on_load = lambda: loads.append(time.monotonic())

    async def main() -> None:
        async with running("blip", "gemma") as runners:
            served: list[str] = []

            async def load(runner: Runner) -> None:
                while len(loads) <= 5:
                    assert await asked(runner, "word") == ["word"]
                    served.append(runner.name)

            await asyncio.gather(*(load(runner) for runner in runners for _ in range(4)))
            assert (
                min(after - before for before, after in itertools.pairwise(loads[:6])) > 0.2
            )  # then callers stop, and the last swap is sooner
            turns = [len(list(turn)) for _, turn in itertools.groupby(served)]
            assert len(turns) >= 5
            assert max(turns) < 100  # a turn is ten words long, of four callers, and some wait for its end
            assert toys.in_memory() == 1

    run(main())


def test_gaps_between_the_calls_of_one_caller_cause_no_swap(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gap between two calls of one caller is no idleness."""
    monkeypatch.setattr(lifecycle, "_MIN_TURN", 3600)
    monkeypatch.setattr(lifecycle, "_IDLE_AFTER", 1)

    async def main() -> None:
        async with running("blip", "gemma") as (blip, gemma):
            await blip.load()
            waiting = asyncio.create_task(asked(gemma, "x"))
            for _ in range(10):
                assert await asked(blip, "a") == ["a"]
                await asyncio.sleep(0.06)  # more than once it is looked whether another one needs the place
            assert toys.loads == 1
            assert await waiting == ["x"]

    run(main())


def test_capacity_two_keeps_the_two_last_used(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, model_capacity=2)

    async def main() -> None:
        async with running("blip", "gemma", "blip2") as runners:
            blip, gemma, blip2 = runners
            for runner in (blip, gemma, blip):
                await asked(runner, "word")
            assert toys.loads == 2
            await asked(blip2, "word")
            assert [await state(runner) for runner in runners] == ["ready", "unloaded", "ready"]

    run(main())


def test_without_a_limit_all_models_stay_loaded(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, model_capacity=0)

    async def main() -> None:
        async with running("blip", "gemma", "blip2", "intern_vlm") as runners:
            for runner in runners:
                await asked(runner, "word")
            assert [await state(runner) for runner in runners] == ["ready"] * 4

    run(main())


def test_closing_answers_all_calls(toys: ToyLoader, home: Path) -> None:
    toys.delay = 0.05

    async def main() -> None:
        async with running("blip", "gemma") as (blip, gemma):
            await blip.load()
            calls = [asyncio.create_task(asked(blip, LONG)) for _ in range(3)]
            waiting = asyncio.create_task(asked(gemma, "word"))
            await until(lambda: blip._gate.active == 3 and gemma._state == "waiting")
            await asyncio.gather(blip.close(), gemma.close())
            assert await asyncio.gather(*calls, waiting) == [["model_not_ready"]] * 4
            assert await asked(blip, "word") == ["model_not_ready"]
            assert toys.loads == 1
            (await lease_of(home)).release()

    run(main())


def test_closing_while_loading_leaves_nothing(toys: ToyLoader, home: Path) -> None:
    held = threading.Event()
    toys.on_load = lambda: hold(held)

    async def main() -> None:
        async with running() as (runner,):
            call = asyncio.create_task(asked(runner, "word"))
            await until(lambda: toys.loads == 1)
            close = asyncio.create_task(runner.close())
            assert await call == ["model_not_ready"]
            held.set()
            await close
            assert (await state(runner), toys.in_memory()) == ("unloaded", 0)
            (await lease_of(home)).release()

    run(main())


def test_closing_waits_for_no_download(toys: ToyLoader, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hours, or of another process that downloads the same; nor does the end of the process wait for its thread."""
    held, began = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def fetch(self: ModelLoader) -> Path:
        threads.append(threading.current_thread())
        began.set()
        hold(held)
        return home

    monkeypatch.setattr(ModelLoader, "fetch", fetch)

    async def main() -> None:
        async with running() as (runner,):
            call = asyncio.create_task(asked(runner, "word"))
            assert await asyncio.to_thread(began.wait, 10)
            async with asyncio.timeout(5):
                await runner.close()
            assert await call == ["model_not_ready"]
            assert (await state(runner), toys.loads) == ("unloaded", 0)
            assert threads[0].is_alive()
            assert threads[0].daemon
            held.set()
            threads[0].join(10)  # its result comes too late for anybody

    run(main())


def test_what_a_download_raises_is_told(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(self: ModelLoader) -> Path:
        raise errors.WeightsUnavailable("not there", retry_after=30)

    monkeypatch.setattr(ModelLoader, "fetch", fetch)

    async def main() -> None:
        async with running() as (runner,):
            assert await asked(runner, "word") == ["weights_unavailable"]

    run(main())


def test_a_disk_that_is_full_costs_no_call(toys: ToyLoader, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marking a lease as used writes a file."""

    async def main() -> None:
        async with running() as (runner,):
            await runner.load()

            def full(descriptor: int, record: Any) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(capacity, "_write", full)
            assert await asked(runner, "one", "two") == ["one", "two"]
            monkeypatch.undo()

    run(main())
