"""Several runners of a model: who gets a job, who is left out, and what becomes of jobs whose runner is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from bentoml.exceptions import BentoMLException
from prometheus_client import REGISTRY

from looksee.core import errors
from looksee.core.tasks import Call, Event, Failure, Reply, Status
from looksee.gateway.runners import replica
from looksee.gateway.runners.channel import RunnerChannel
from looksee.gateway.runners.client import RunnerClient
from looksee.gateway.runners.lost_runners import HandedOver
from tests.gateway.proxy import IDENTITY, FakeProxy, answer_to
from tests.gateway.runners.replicas import Host, client_of, job, refused
from tests.support.loops import run, settle, until


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions come so quickly that no test waits for one."""
    monkeypatch.setattr(replica, "_EVERY", 0.005)
    monkeypatch.setattr(replica, "_FIRST_PAUSE", 0.005)
    monkeypatch.setattr(replica, "_LONGEST_PAUSE", 0.02)


@asynccontextmanager
async def serving(*hosts: FakeProxy, **limits: int) -> AsyncIterator[RunnerClient]:
    client = client_of(*hosts, **limits)
    try:
        yield client
    finally:
        await client.close()


@contextmanager
def log_of(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, logger="looksee.gateway"):
        yield caplog


def asking(client: RunnerClient, *names: str, **how: Any) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(client.ask(job(name), timeout=5, request_id="", **how)) for name in names]


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[str]:
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [
        type(one).__name__ if isinstance(one, BaseException) else one[0].answer.text if one[0].answer else ""
        for one in found
    ]


def names(count: int) -> list[str]:
    return [f"job {number}" for number in range(count)]


def answers(count: int) -> list[str]:
    return [f"a {name}" for name in names(count)]


def metric(name: str, which: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"model": "blip", "replica": which})


# --- who gets a job --------------------------------------------------------------------------------------------------


def test_jobs_go_to_whoever_has_fewest() -> None:
    async def main() -> None:
        one, two, three = Host(), Host(), Host()
        one.held = two.held = three.held = True
        async with serving(one, two, three) as client:
            tasks = asking(client, *names(12))
            await settle(20)
            assert Counter(map(len, (one.begun, two.begun, three.begun))) == {4: 3}
            await until(lambda: metric("looksee_replica_jobs", "a") == 4)
            for host in (one, two, three):
                host.let_go()
            assert await outcomes(tasks) == answers(12)
            assert metric("looksee_replica_jobs", "a") == 0

    run(main())


def test_jobs_of_other_gateways_count_as_the_runner_reports_them() -> None:
    async def main() -> None:
        busy, free = Host(), Host()
        busy.reports = {"in_flight": 5, "queued": 2}
        busy.held = free.held = True
        async with serving(busy, free) as client:
            client._watch()
            await until(lambda: busy.asked > 0 and free.asked > 0)
            tasks = asking(client, *names(7))
            await settle(20)
            assert (len(busy.begun), len(free.begun)) == (0, 7)
            tasks += asking(client, "job 7", "job 8")
            await settle(20)
            assert (len(busy.begun), len(free.begun)) == (1, 8)
            busy.let_go()
            free.let_go()
            assert await outcomes(tasks) == answers(9)

    run(main())


def test_our_own_jobs_in_a_report_are_not_counted_twice() -> None:
    async def main() -> None:
        one, two = Host(), Host()
        one.held = two.held = True
        async with serving(one, two) as client:
            tasks = asking(client, *names(6))
            await settle(20)
            one.reports, two.reports = {"in_flight": 3}, {"in_flight": 3}
            seen = one.asked, two.asked
            await until(lambda: one.asked > seen[0] + 1 and two.asked > seen[1] + 1)
            assert [each.load() for each in client.replicas] == [3, 3]
            one.let_go()
            two.let_go()
            await outcomes(tasks)

    run(main())


@pytest.mark.parametrize(("state", "before"), [("unloaded", 8), ("failed", 20)])
def test_a_runner_without_weights_is_used_once_others_have_a_full_batch(state: str, before: int) -> None:
    async def main() -> None:
        cold, warm = Host(), Host()
        cold.reports = {"state": state}
        cold.held = warm.held = True
        async with serving(cold, warm, rows=8) as client:
            client._watch()
            await until(lambda: cold.asked > 0 and warm.asked > 0)
            tasks = asking(client, *names(20))
            await settle(20)
            assert (len(cold.begun) > 0) == (before < 20)
            assert len(warm.begun) >= before
            cold.let_go()
            warm.let_go()
            assert await outcomes(tasks) == answers(20)

    run(main())


def test_a_picture_comes_back_to_the_same_runner_and_pictures_are_spread() -> None:
    async def main() -> None:
        hosts = Host(), Host()
        async with serving(*hosts) as client:
            for _ in range(3):
                for name in names(16):
                    await client.ask(job(name), timeout=5, request_id="")
            counts = [Counter(host.begun) for host in hosts]
            assert all(count == 3 for each in counts for count in each.values())
            assert all(len(each) > 2 for each in counts)

    run(main())


def test_each_runner_has_room_and_the_last_one_that_is_full_refuses() -> None:
    async def main() -> None:
        one, two = Host(), Host()
        one.held = two.held = True
        async with serving(one, two, room=2) as client:
            tasks = asking(client, *names(3))
            await settle(20)
            client.check_room()
            tasks += asking(client, "job 3")
            await settle(20)
            with pytest.raises(errors.Overloaded):
                client.check_room()
            with pytest.raises(errors.Overloaded):
                await client.ask(job("late"), timeout=5, request_id="")
            one.let_go()
            two.let_go()
            assert await outcomes(tasks) == answers(4)

    run(main())


# --- who is left out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["gone", "cut off", "hung", "key"])
def test_a_runner_that_does_not_answer_is_left_out_and_taken_back(
    trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        sick, well = Host(), Host()
        async with serving(sick, well) as client:
            client._watch()
            first = client.replicas[0]
            await until(lambda: sick.asked > 0)
            sick.is_gone, sick.is_cut_off, sick.is_hung = (trouble == word for word in ("gone", "cut off", "hung"))
            if trouble == "key":
                sick.status_troubles = [BentoMLException("no", error_code=401) for _ in range(10_000)]  # type: ignore[arg-type]
            await until(lambda: not first.up)
            assert metric("looksee_replica_up", "a") == 0
            assert await outcomes(asking(client, *names(9))) == answers(9)
            assert sick.begun == []
            sick.is_gone = sick.is_cut_off = sick.is_hung = False
            sick.status_troubles.clear()
            await until(lambda: first.up)
            assert metric("looksee_replica_up", "a") == 1
            await outcomes(asking(client, *names(9)))
            assert sick.begun

    with log_of(caplog):
        run(main())
    assert caplog.text.count("the runner of blip at a is left out") == 1
    assert caplog.text.count("the runner of blip at a answers") == 1


def test_pauses_grow_and_end_with_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "_FIRST_PAUSE", 0.5)
    monkeypatch.setattr(replica, "_LONGEST_PAUSE", 3.0)
    monkeypatch.setattr(replica, "_EVERY", 1.0)

    async def main() -> None:
        host = Host()
        one = replica.Replica("blip", "a", host, room=9, reach=host.reach)
        host.is_gone = True
        pauses = []
        for _ in range(5):
            await one.check()
            pauses.append(one.pause)
        assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0]
        host.is_gone = False
        await one.check()
        assert one.pause == 1.0
        host.is_gone = True
        await one.check()
        assert one.pause == 0.5

    run(main())


def test_a_busy_runner_that_is_late_with_its_status_stays_in() -> None:
    """It takes three silences in a row, and whatever it sends in between is an answer."""

    async def main() -> None:
        host = Host()
        one = replica.Replica("blip", "a", host, room=9, reach=host.reach)
        host.is_hung = True
        await one.check()
        await one.check()
        assert one.up
        host.is_hung = False
        await one.check()
        host.is_hung = True
        for _ in range(5):
            one.channel.last_heard = float("inf")
            await one.check()
        assert one.up
        one.channel.last_heard = 0.0
        for _ in range(3):
            await one.check()
        assert not one.up

    run(main())


def test_where_all_are_left_out_one_is_tried_all_the_same() -> None:
    async def main() -> None:
        one, two = Host(), Host()
        one.is_gone = two.is_gone = True
        async with serving(one, two) as client:
            client._watch()
            await until(lambda: not any(each.up for each in client.replicas))
            with pytest.raises(errors.RunnerFailed, match="'blip'"):
                await client.ask(job("one"), timeout=5, request_id="")
            assert await client.status() is None
            one.is_gone = two.is_gone = False
            assert await outcomes(asking(client, "one")) == ["a one"]

    run(main())


def test_nobody_watches_a_runner_on_this_machine() -> None:
    async def main() -> None:
        proxy = FakeProxy(status_troubles=[aiohttp.ClientConnectionError() for _ in range(9)])
        client = RunnerClient("blip", proxy)
        await client.ask(job("one"), timeout=5, request_id="")
        await asyncio.sleep(0.03)
        assert proxy.asked == 0
        await client.close()
        assert not proxy.closed

    run(main())


def test_closing_stops_the_questions() -> None:
    async def main() -> None:
        host = Host()
        async with serving(host) as client:
            await client.status()
        asked = host.asked
        await asyncio.sleep(0.03)
        assert host.asked == asked
        assert host.closed

    run(main())


# --- what becomes of jobs whose runner is lost -----------------------------------------------------------------------


def test_a_host_that_is_cut_off_under_load_costs_nobody_an_answer() -> None:
    async def main() -> None:
        sick, well = Host(), Host()
        sick.held = True
        retries = metric("looksee_replica_retries_total", "a") or 0
        async with serving(sick, well) as client:
            tasks = asking(client, *names(16))
            await until(lambda: len(sick.begun) == 8)
            sick.is_cut_off = True
            assert await outcomes(tasks) == answers(16)
            assert sorted(well.begun) == sorted(names(16))
            assert metric("looksee_replica_retries_total", "a") == retries + 8
            assert client.replicas[0].channel.pending == 0

    run(main())


def test_whoever_asks_while_a_host_is_cut_off_is_answered_by_the_other() -> None:
    async def main() -> None:
        sick, well = Host(), Host()
        async with serving(sick, well) as client:
            sick.is_cut_off = True
            assert await outcomes(asking(client, *names(16))) == answers(16)

    run(main())


def test_a_call_that_fails_leaves_its_runner_out_before_it_is_asked_how_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "_EVERY", 60.0)
    monkeypatch.setattr(replica, "_FIRST_PAUSE", 60.0)

    async def main() -> None:
        sick, well = Host(), Host()
        async with serving(sick, well) as client:
            client._watch()
            await until(lambda: sick.asked > 0)
            sick.is_gone = True
            assert await outcomes(asking(client, *names(8))) == answers(8)
            tried = len(sick.calls)
            assert tried > 0
            assert await outcomes(asking(client, *names(8))) == answers(8)
            assert len(sick.calls) == tried

    run(main())


def test_what_a_killed_runner_had_not_begun_is_given_to_the_other_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "_EVERY", 60.0)
    monkeypatch.setattr(replica, "_MOST_SILENCES", 1_000_000)

    async def main() -> None:
        sick, well = Host(), Host()
        async with serving(sick, well) as client:
            client._watch()
            await until(lambda: sick.asked > 0 and well.asked > 0)
            sick.held = True
            begun = asking(client, *names(4))
            await until(lambda: len(sick.begun) == 2)
            sick.is_hung = True  # what is sent from now on meets no process
            late = asking(client, *(f"late {number}" for number in range(12)))
            await until(lambda: len(sick.calls) > 1)
            sick.kill()
            assert "" not in await outcomes(late)
            assert len(well.begun) == 14
            assert client.replicas[0].channel.is_on_trial
            for one in begun:
                one.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
            client.replicas[0].channel.give_up()
            await settle(20)

    run(main())


def test_jobs_of_a_runner_that_is_gone_are_answered_by_the_other() -> None:
    async def main() -> None:
        sick, well = Host(), Host()
        sick.held, sick.returns = True, False
        async with serving(sick, well) as client:
            tasks = asking(client, *names(16))
            await until(lambda: len(sick.begun) == 8)
            sick.kill()
            assert await outcomes(tasks) == answers(16)

    run(main())


def test_a_hung_runner_keeps_what_it_has_begun_and_nothing_else() -> None:
    async def main() -> None:
        sick, well = Host(), Host()
        async with serving(sick, well) as client:
            sick.held = True
            begun = asking(client, *names(4))
            await until(lambda: len(sick.begun) == 2)
            sick.is_hung = True
            await until(lambda: not client.replicas[0].up)
            assert await outcomes(asking(client, *names(16))) == answers(16)
            assert len(sick.begun) == 2
            sick.let_go()
            assert await outcomes(begun) == answers(4)
            assert len(sick.begun) == 2

    run(main())


def test_a_follower_who_has_heard_nothing_is_told_by_the_other_runner() -> None:
    async def main() -> None:
        sick, well = Host(), Host()
        sick.is_gone = True
        well.told = 1
        heard: list[str] = []
        async with serving(sick, well) as client:
            assert await outcomes(asking(client, *names(8), listener=heard.append)) == answers(8)
            assert heard == ["a "] * 8

    run(main())


def test_a_follower_who_has_heard_the_beginning_is_not_told_another() -> None:
    async def main() -> None:
        sick, well = Host(), Host()
        sick.told, sick.held = 1, True
        heard: list[str] = []
        async with serving(sick, well) as client:
            tasks = asking(client, *names(8), listener=heard.append)
            await until(lambda: len(sick.begun) == 4 and len(heard) == 4)
            sick.is_cut_off = True
            found = await outcomes(tasks)
            assert Counter(found)["RunnerFailed"] == 4
            assert len(well.begun) == 4

    run(main())


def test_a_runner_that_is_being_stopped_ends_what_it_has_begun() -> None:
    """It refuses connections from then on, and streams go on over the old ones."""

    async def main() -> None:
        stopping, well = Host(), Host()
        stopping.held, stopping.told = True, 1
        heard: list[str] = []
        async with serving(stopping, well) as client:
            tasks = asking(client, *names(8), listener=heard.append)
            await until(lambda: len(stopping.begun) == 4)
            stopping.is_gone = True
            await until(lambda: not client.replicas[0].up)
            assert await outcomes(asking(client, "late")) == ["a late"]
            stopping.let_go()
            assert await outcomes(tasks) == answers(8)
            assert len(stopping.begun) == 4

    run(main())


@pytest.mark.parametrize("code", ["model_not_ready", "weights_unavailable", "overloaded"])
def test_what_a_runner_cannot_take_now_another_is_asked(code: str) -> None:
    async def main() -> None:
        def refuse(_: Any) -> Reply:
            return Reply(failure=Failure(code, "Not now.", retry_after=5))

        refusing = FakeProxy(answer=refuse)
        async with serving(refusing, Host()) as client:
            assert await outcomes(asking(client, *names(8))) == answers(8)
            assert refusing.calls
        async with serving(refusing, FakeProxy(answer=refuse)) as client:
            reply, _ = await client.ask(job("one"), timeout=5, request_id="")
            assert reply.failure is not None
            assert reply.failure.code == code

    run(main())


def test_who_has_heard_the_beginning_is_not_told_another_by_a_runner_that_is_asked_instead() -> None:
    async def main() -> None:
        async def stop(call: Call) -> AsyncIterator[Event]:
            for number in range(len(call.asks)):
                yield Event(number, "a ")
                yield Event(number, reply=Reply(failure=Failure("model_not_ready", "It is being stopped.")))

        stopping, well = FakeProxy(after=stop), Host()
        heard: list[str] = []
        async with serving(stopping, well) as client:
            found = await outcomes(asking(client, *names(8), listener=heard.append))
            assert found.count("") == len(stopping.calls[0].jobs) > 0
            assert heard == ["a "] * found.count("")
            assert len(well.begun) == 8 - found.count("")

    run(main())


def test_a_runner_of_another_model_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        other = FakeProxy(identity=replace(IDENTITY, model="moondream"))
        async with serving(other, Host()) as client:
            client._watch()
            await until(lambda: not client.replicas[0].up)
            assert await outcomes(asking(client, *names(8))) == answers(8)
            assert other.calls == []

    with log_of(caplog):
        run(main())
    assert "it serves moondream" in caplog.text


def test_what_is_wrong_with_a_job_no_other_runner_is_asked() -> None:
    async def main() -> None:
        def refuse(_: Any) -> Reply:
            return Reply(failure=Failure("corrupt_image", "It is broken."))

        hosts = FakeProxy(answer=refuse), FakeProxy(answer=refuse)
        async with serving(*hosts) as client:
            await client.ask(job("one"), timeout=5, request_id="")
            assert sum(len(host.calls) for host in hosts) == 1

    run(main())


def test_a_runner_that_wants_another_key_is_passed_over() -> None:
    async def main() -> None:
        strange = FakeProxy(troubles=[BentoMLException("no", error_code=401) for _ in range(99)])  # type: ignore[arg-type]
        async with serving(strange, Host()) as client:
            assert await outcomes(asking(client, *names(8))) == answers(8)

    run(main())


# --- jobs that kill --------------------------------------------------------------------------------------------------


def test_a_job_that_kills_its_runner_is_not_sent_to_another() -> None:
    async def main() -> None:
        hosts = Host(), Host(), Host()
        async with serving(*hosts) as client:
            tasks = asking(client, *names(20), "poison")
            assert await outcomes(tasks) == [*answers(20), "RunnerFailed"]
            assert sorted(host.deaths for host in hosts)[:2] == [0, 0]
            assert max(host.deaths for host in hosts) <= 3

    run(main())


def test_a_job_that_takes_whole_hosts_down_is_refused_after_two() -> None:
    async def main() -> None:
        hosts = Host(), Host(), Host(), Host()
        for host in hosts:
            host.returns = False
        async with serving(*hosts) as client:
            tasks = asking(client, *names(20), "poison")
            assert await outcomes(tasks) == [*answers(20), "RunnerFailed"]
            assert sorted(host.deaths for host in hosts) == [0, 0, 1, 1]

    run(main())


def test_nobody_waits_for_a_runner_that_was_killed_but_those_it_had_begun() -> None:
    async def main() -> None:
        sick, well = Host(), Host()
        sick.held = True
        async with serving(sick, well) as client:
            tasks = asking(client, *names(8))
            await until(lambda: len(sick.begun) == 4)
            sick.is_hung = True  # the new process is not there yet
            sick.kill()
            assert await outcomes(asking(client, *(f"late {number}" for number in range(8)))) == [
                f"a late {number}" for number in range(8)
            ]
            assert sum(task.done() for task in tasks) == 4
            sick.is_hung, sick.held = False, False
            sick._let_go.set()
            for call in list(client.replicas[0].channel._calls):
                call.cancel()

    run(main())


@pytest.mark.parametrize(
    "after_that", [["closed", "refused"], ["refused"], ["closed", "closed", "refused"], ["closed"] * 4]
)
def test_a_suspect_is_handed_over_whatever_becomes_of_its_runner(after_that: list[str]) -> None:
    """A port may take connections a moment longer than its process lives."""

    async def main() -> None:
        async def killed(call: Call) -> AsyncIterator[Event]:
            proxy.troubles = [aiohttp.ServerDisconnectedError() if one == "closed" else refused() for one in after_that]
            raise aiohttp.ClientPayloadError("the runner died")
            yield

        proxy = FakeProxy(after=killed)
        channel = RunnerChannel("blip", proxy, 9, elsewhere=lambda: True)
        with pytest.raises(HandedOver) as caught:
            await channel.ask(job("one"), timeout=5, request_id="")
        assert (caught.value.starts, caught.value.suspect) == (1, True)
        assert len(proxy.calls) == 1 + len(after_that)

    run(main())


def test_what_no_runner_has_begun_is_tried_once_more_and_then_handed_over() -> None:
    """A connection that was kept open may just have been closed."""

    async def main() -> None:
        proxy = FakeProxy(troubles=[aiohttp.ServerDisconnectedError()])
        channel = RunnerChannel("blip", proxy, 9, elsewhere=lambda: True)
        await channel.ask(job("one"), timeout=5, request_id="")
        assert len(proxy.calls) == 2
        proxy.troubles = [aiohttp.ServerDisconnectedError() for _ in range(2)]
        with pytest.raises(HandedOver) as caught:
            await channel.ask(job("two"), timeout=5, request_id="")
        assert (caught.value.starts, caught.value.suspect) == (0, False)

    run(main())


def test_suspects_of_another_runner_hold_nobody_up() -> None:
    """They are tried one at a time, and what is asked meanwhile is answered."""

    async def main() -> None:
        let_go = asyncio.Event()

        async def work(call: Call) -> AsyncIterator[Event]:
            if call.asks[0].job.images[0].startswith(b"job"):
                await let_go.wait()
            for number, ask in enumerate(call.asks):
                yield Event(number, reply=answer_to(ask.job), identity=IDENTITY)

        sick, well = Host(), FakeProxy(after=work)
        sick.held, sick.returns = True, False
        async with serving(sick, well) as client:
            first, second = client.replicas
            second.up = False
            tasks = asking(client, *names(4))
            await until(lambda: len(sick.begun) == 4)
            second.up = True
            sick.kill()
            await until(lambda: len(well.calls) == 1)
            assert await outcomes(asking(client, "late")) == ["a late"]
            assert [len(call.jobs) for call in well.calls] == [1, 1]
            assert not first.up
            let_go.set()
            assert await outcomes(tasks) == answers(4)
            assert [len(call.jobs) for call in well.calls] == [1, 1, 1, 1, 1]

    run(main())


# --- all of them as one ----------------------------------------------------------------------------------------------


def test_the_status_of_several_is_one() -> None:
    async def main() -> None:
        one, two = Host(), Host()
        one.reports = {"state": "loading", "in_flight": 1, "memory_bytes": 10, "last_use": 3.0}
        two.reports = {"in_flight": 2, "queued": 1, "memory_bytes": 5, "device_bytes": 7}
        async with serving(one, two) as client:
            together = Status(
                IDENTITY, "ready", "cpu", memory_bytes=15, device_bytes=7, last_use=3.0, in_flight=3, queued=1
            )
            assert await client.status() == together

    run(main())


@pytest.mark.parametrize("order", ["load", "unload"])
def test_orders_reach_all_that_answer(order: str) -> None:
    async def main() -> None:
        one, two, gone = Host(), Host(), Host()
        gone.is_gone = True
        async with serving(one, two, gone) as client:
            client._watch()
            await until(lambda: not client.replicas[2].up)
            assert (await getattr(client, order)(timeout=5)).state == ("ready" if order == "load" else "unloaded")
            assert [one.orders, two.orders, gone.orders] == [[order], [order], []]
            two.refusal = Failure("model_not_ready", "'blip' is at work.", retry_after=5)
            with pytest.raises(errors.ModelNotReady):
                await getattr(client, order)(timeout=5)

    run(main())


def test_these_fakes_refuse_as_a_port_without_a_server_does() -> None:
    assert isinstance(refused(), aiohttp.ClientConnectorError)
