"""The answering: what is asked of the cache, what of a runner, what is stored, and what is shared."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import aiohttp
import pytest
from bentoml.exceptions import BentoMLException
from prometheus_client import REGISTRY

from cache import keys
from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Answer, Ask, Call, Event, Failure, Identity, Job, Reply, Sampling, Task
from looksee.gateway.answering import AnsweringService, CacheableJob, Result, ServedAnswer
from looksee.gateway.runners.client import RunnerClient
from tests.gateway.memory_cache import Shelf
from tests.gateway.proxy import IDENTITY, NEWER, FakeProxy, answer_to
from tests.support.loops import run, settle

RESULTS: tuple[Literal["hit", "miss", "coalesced", "bypass"], ...] = ("hit", "miss", "coalesced", "bypass")


def picture(name: str) -> Picture:
    data = name.encode()
    return Picture(data, hashlib.sha256(data).hexdigest(), "image/png", 10, 10)


def question(name: str, prompt: str = "") -> CacheableJob:
    return CacheableJob.about([picture(name)], Task.CAPTION, prompt)


def changed(asked: CacheableJob, **how: Any) -> CacheableJob:
    return replace(asked, job=replace(asked.job, **how))


def key_of(asked: CacheableJob, identity: Identity = IDENTITY) -> str:
    made = keys.key(asked.job, asked.digests, identity)
    assert made is not None
    return made


def house(proxy: FakeProxy) -> tuple[AnsweringService, Shelf]:
    shelf = Shelf()
    return AnsweringService({proxy.identity.model: RunnerClient(proxy.identity.model, proxy)}, shelf), shelf


async def ask(
    answering: AnsweringService, *questions: CacheableJob, timeout: float = 5, request_id: str = ""
) -> list[Result]:
    (model,) = answering.runners
    return await answering.answer(model, questions, timeout=timeout, request_id=request_id)


def served(results: Sequence[Result]) -> list[ServedAnswer]:
    """The results, all of which are answers."""
    answers = [result for result in results if isinstance(result, ServedAnswer)]
    assert len(answers) == len(results), results
    return answers


def texts(results: Sequence[Result]) -> list[str]:
    return [one.answer.text for one in served(results)]


def sent(proxy: FakeProxy) -> list[list[bytes]]:
    return [[job.images[0] for job in call.jobs] for call in proxy.calls]


def counted() -> dict[str, float]:
    return {
        result: REGISTRY.get_sample_value("looksee_cache_requests_total", {"result": result}) or 0.0
        for result in RESULTS
    }


def test_questions_are_counted_by_their_end() -> None:
    def ends() -> list[float]:
        found = [
            ("looksee_requests_total", {"model": "blip", "reason": reason}) for reason in ("stop", "runner_failed")
        ]
        results = ("computed", "cached", "failed")
        found += [("looksee_request_seconds_count", {"model": "blip", "result": result}) for result in results]
        return [REGISTRY.get_sample_value(name, labels) or 0.0 for name, labels in found]

    async def main() -> None:
        proxy = FakeProxy()
        answering, _ = house(proxy)
        await ask(answering, question("ant"))
        before = ends()
        proxy.troubles = [BentoMLException("gone")] * 9
        assert len(await ask(answering, question("ant"), question("bee"))) == 2
        assert [new - old for new, old in zip(ends(), before, strict=True)] == [1, 1, 0, 1, 1]
        assert REGISTRY.get_sample_value("looksee_requests_in_flight", {"model": "blip"}) == 0

    run(main())


def test_many_files_travel_in_one_call() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, shelf = house(proxy)
        questions = [question(name) for name in ("ant", "bee", "cat")]
        answers = served(await ask(answering, *questions, request_id="id-7"))
        assert texts(answers) == ["a ant", "a bee", "a cat"]
        assert [(one.identity, one.cached) for one in answers] == [(IDENTITY, False)] * 3
        assert [one.timing for one in answers] == [answer_to(each.job).timing for each in questions]
        assert sent(proxy) == [[b"ant", b"bee", b"cat"]]
        assert proxy.calls[0].request_id == "id-7"
        assert 4.5 < proxy.calls[0].timeout <= 5
        assert shelf.stored == {key_of(each): answer_to(each.job).answer for each in questions}

    run(main())


def test_hits_are_not_sent() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, _ = house(proxy)
        await ask(answering, question("ant"), question("cat"))
        before = counted()
        answers = served(await ask(answering, question("ant"), question("bee"), question("cat"), question("dog")))
        assert texts(answers) == ["a ant", "a bee", "a cat", "a dog"]
        assert [one.cached for one in answers] == [True, False, True, False]
        assert [one.identity for one in answers] == [IDENTITY] * 4
        assert sent(proxy)[1:] == [[b"bee", b"dog"]]
        after = counted()
        assert {name: after[name] - before[name] for name in RESULTS} == {
            "hit": 2, "miss": 2, "coalesced": 0, "bypass": 0,
        }  # fmt: skip

    run(main())


def test_a_full_hit_asks_no_runner() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, shelf = house(proxy)
        await ask(answering, question("ant"))
        proxy.troubles = [BentoMLException("gone")] * 9
        assert texts(await ask(answering, question("ant"), question("ant"))) == ["a ant", "a ant"]
        assert len(proxy.calls) == 1
        assert shelf.asked[-1] == [key_of(question("ant"))]  # once, not twice

    run(main())


def test_no_questions_no_call() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, _ = house(proxy)
        assert await ask(answering) == []
        assert proxy.calls == []

    run(main())


def test_another_prompt_is_another_question() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, _ = house(proxy)
        assert texts(await ask(answering, question("ant"), question("ant", "!"))) == ["a ant", "a ant!"]
        longer = changed(question("ant"), max_new_tokens=7)
        assert not served(await ask(answering, longer))[0].cached
        assert [len(call.jobs) for call in proxy.calls] == [2, 1]

    run(main())


def test_the_same_picture_twice_in_a_request_is_answered_once() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, _ = house(proxy)
        assert texts(await ask(answering, question("ant"), question("bee"), question("ant"))) == [
            "a ant",
            "a bee",
            "a ant",
        ]
        assert sent(proxy) == [[b"ant", b"bee"]]

    run(main())


def test_what_a_job_is() -> None:
    asked = CacheableJob.about([picture("ant")], Task.CAPTION, "a photo of", max_new_tokens=9)
    assert asked.job == Job(Task.CAPTION, (b"ant",), "a photo of", 9)
    how: dict[str, Any] = {"sampling": Sampling(0.5, 0.9, 40, seed=1), "stop": ("stop", "end"), "reasoning": True}
    several = CacheableJob.about([picture("bee"), picture("ant")], Task.QUERY, "what?", **how)
    assert several.job == Job(Task.QUERY, (b"bee", b"ant"), "what?", **how)
    assert several.digests == (picture("bee").digest, picture("ant").digest)


def test_several_pictures_are_one_question_with_a_key_of_their_own() -> None:
    async def main() -> None:
        proxy = FakeProxy(identity=replace(IDENTITY, model="gemma"))
        answering, shelf = house(proxy)
        together = CacheableJob.about([picture("ant"), picture("bee")], Task.COLLECTIVE)
        (answer,) = served(await ask(answering, together))
        assert not answer.cached
        (answer,) = served(await ask(answering, together))
        assert answer.cached
        (other,) = served(await ask(answering, CacheableJob.about([picture("bee"), picture("ant")], Task.COLLECTIVE)))
        assert not other.cached
        assert [[job.images for job in call.jobs] for call in proxy.calls] == [[(b"ant", b"bee")], [(b"bee", b"ant")]]
        assert all(key.startswith("v1:collection:") for key in shelf.stored)

    run(main())


def test_an_answer_that_cannot_be_had_again_is_neither_stored_nor_shared() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def hold(_: Any) -> None:
            await go.wait()

        proxy = FakeProxy(before=hold)
        answering, shelf = house(proxy)
        before = counted()
        drawn = changed(question("ant"), sampling=Sampling(temperature=0.7))
        tasks = [asyncio.create_task(ask(answering, drawn, drawn)) for _ in range(2)]
        await settle(20)
        go.set()
        for task in tasks:
            assert [one.cached for one in served(await task)] == [False, False]
        assert sent(proxy) == [[b"ant"] * 4]
        assert [job.sampling for job in proxy.calls[0].jobs] == [Sampling(temperature=0.7)] * 4
        assert shelf.stored == {}
        assert counted()["bypass"] - before["bypass"] == 4

    run(main())


def test_an_answer_with_a_seed_can_be_had_again() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, shelf = house(proxy)
        drawn = changed(question("ant"), sampling=Sampling(temperature=0.7, seed=3))
        assert [one.cached for one in served(await ask(answering, drawn) + await ask(answering, drawn))] == [
            False,
            True,
        ]
        (other,) = served(await ask(answering, changed(drawn, sampling=Sampling(temperature=0.7, seed=4))))
        assert not other.cached
        assert len(proxy.calls) == len(shelf.stored) == 2

    run(main())


def test_failures_are_the_results_of_their_questions_and_are_not_stored() -> None:
    def answer(job: Job) -> Reply:
        if job.images[0] == b"bee":
            return Reply(failure=Failure.of(errors.CorruptImage("damaged", param="images")))
        return answer_to(job)

    async def main() -> None:
        proxy = FakeProxy(answer=answer)
        answering, shelf = house(proxy)
        ant, bee, cat = await ask(answering, question("ant"), question("bee"), question("cat"))
        assert texts([ant, cat]) == ["a ant", "a cat"]
        assert isinstance(bee, errors.CorruptImage)
        assert (bee.message, bee.param) == ("damaged", "images")
        assert set(shelf.stored) == {key_of(question("ant")), key_of(question("cat"))}
        proxy.answer = answer_to
        assert texts(await ask(answering, question("bee"))) == ["a bee"]  # it was not remembered as bad

    run(main())


@pytest.mark.parametrize(
    ("troubles", "kind", "calls"),
    [
        ([BentoMLException("no")], errors.RunnerFailed, 1),
        ([aiohttp.ServerDisconnectedError() for _ in range(4)], errors.RunnerFailed, 4),
        ([TimeoutError()], errors.DeadlineExceeded, 1),
    ],
)
def test_a_runner_without_a_reply_fails_all_questions_that_were_sent(
    troubles: list[Exception], kind: type[errors.LookseeError], calls: int
) -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, shelf = house(proxy)
        await ask(answering, question("ant"))
        proxy.troubles = list(troubles)
        ant, bee, cat = await ask(answering, question("ant"), question("bee"), question("cat"))
        assert texts([ant]) == ["a ant"]  # the cache had it
        assert [type(one) for one in (bee, cat)] == [kind, kind]
        assert len(proxy.calls) == 1 + calls
        assert len(shelf.stored) == 1
        assert texts(await ask(answering, question("bee"))) == ["a bee"]

    run(main())


def test_a_lost_connection_is_not_noticed() -> None:
    async def main() -> None:
        proxy = FakeProxy(troubles=[aiohttp.ServerDisconnectedError()])
        answering, shelf = house(proxy)
        assert texts(await ask(answering, question("ant"))) == ["a ant"]
        assert len(proxy.calls) == 2
        assert len(shelf.stored) == 1

    run(main())


def test_answers_of_other_weights_are_given_but_not_stored_under_the_old_key() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, shelf = house(proxy)
        await ask(answering, question("ant"))
        proxy.identity = NEWER
        (bee,) = served(await ask(answering, question("bee")))
        assert (bee.answer.text, bee.identity) == ("a bee", NEWER)
        assert set(shelf.stored) == {key_of(question("ant"))}
        ant, bee = served(await ask(answering, question("ant"), question("bee")))  # from now on with the new keys
        assert (ant.cached, bee.cached) == (False, False)
        assert set(shelf.stored) == {
            key_of(question("ant")), key_of(question("ant"), NEWER), key_of(question("bee"), NEWER),
        }  # fmt: skip

    run(main())


@pytest.mark.parametrize("known", [False, True], ids=["no status", "no fingerprint"])
def test_answers_of_unknown_weights_pass_the_cache_by(known: bool) -> None:
    async def main() -> None:
        unknown = replace(IDENTITY, fingerprint=None)
        proxy = FakeProxy(identity=unknown, status_troubles=[] if known else [aiohttp.ClientConnectionError()] * 9)
        answering, shelf = house(proxy)
        before = counted()
        answers = served(await ask(answering, question("ant"), question("ant")))
        assert texts(answers) == ["a ant", "a ant"]
        assert [(one.identity, one.cached) for one in answers] == [(unknown, False)] * 2
        assert sent(proxy) == [[b"ant", b"ant"]]  # and nothing is shared
        assert shelf.stored == {}
        assert all(asked == [] for asked in shelf.asked)
        assert counted()["bypass"] - before["bypass"] == 2

    run(main())


def test_two_identical_requests_at_once_are_one_call() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def hold(_: Any) -> None:
            await go.wait()

        proxy = FakeProxy(before=hold)
        answering, _ = house(proxy)
        before = counted()
        tasks = [asyncio.create_task(ask(answering, question("ant"), question("bee"))) for _ in range(3)]
        tasks.append(asyncio.create_task(ask(answering, question("bee"), question("cat"))))
        await settle(20)
        go.set()
        assert [texts(await task) for task in tasks] == [["a ant", "a bee"]] * 3 + [["a bee", "a cat"]]
        assert sent(proxy) == [[b"ant", b"bee", b"cat"]]
        after = counted()
        assert {name: after[name] - before[name] for name in RESULTS} == {
            "hit": 0, "miss": 3, "coalesced": 5, "bypass": 0,
        }  # fmt: skip

    run(main())


def test_a_caller_who_leaves_does_not_take_the_answer_of_another_with_him() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def hold(_: Any) -> None:
            await go.wait()

        proxy = FakeProxy(before=hold)
        answering, shelf = house(proxy)
        leaver = asyncio.create_task(ask(answering, question("ant")))
        await settle(20)
        stayer = asyncio.create_task(ask(answering, question("ant")))
        await settle(20)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        go.set()
        assert texts(await stayer) == ["a ant"]
        assert len(proxy.calls) == len(shelf.stored) == 1

    run(main())


def test_the_last_caller_to_leave_calls_the_job_off_and_nothing_is_stored() -> None:
    async def main() -> None:
        over = asyncio.Event()

        async def until_cancelled(_: Call) -> AsyncIterator[Event]:
            await over.wait()
            for event in list[Event]():
                yield event

        async def cancel() -> None:
            over.set()

        proxy = FakeProxy(after=until_cancelled)
        proxy.on_cancel = cancel
        answering, shelf = house(proxy)
        leaver = asyncio.create_task(ask(answering, question("ant")))
        await settle(20)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        await settle()
        assert proxy.cancelled == [(proxy.calls[0].call.id, 0)]
        assert shelf.stored == {}
        proxy.after = None
        assert texts(await ask(answering, question("ant"))) == ["a ant"]

    run(main())


def test_whoever_leaves_calls_off_what_nobody_else_waits_for() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def hold(call: Call) -> AsyncIterator[Event]:
            await go.wait()
            for number, one in enumerate(call.asks):
                yield Event(number, reply=answer_to(one.job), identity=IDENTITY)

        proxy = FakeProxy(after=hold)
        answering, shelf = house(proxy)
        leaver = asyncio.create_task(ask(answering, question("ant"), question("bee"), question("cat")))
        await settle(20)
        stayer = asyncio.create_task(ask(answering, question("bee")))
        await settle(20)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        await settle(20)
        assert sorted(proxy.cancelled) == [(proxy.calls[0].call.id, 0), (proxy.calls[0].call.id, 2)]
        go.set()
        assert texts(await stayer) == ["a bee"]
        await settle(20)
        assert len(proxy.calls) == 1
        assert set(shelf.stored) == {key_of(question("bee"))}

    run(main())


def test_nobody_waits_for_a_strangers_other_questions() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def first_at_once(call: Call) -> AsyncIterator[Event]:
            for number, one in enumerate(call.asks):
                yield Event(number, reply=answer_to(one.job), identity=IDENTITY)
                await go.wait()

        proxy = FakeProxy(after=first_at_once)
        answering, shelf = house(proxy)
        upload = asyncio.create_task(ask(answering, *(question(f"ant {number}") for number in range(32))))
        joined = asyncio.create_task(ask(answering, question("ant 0")))
        assert texts(await joined) == ["a ant 0"]
        await settle(20)
        assert not upload.done()
        assert set(shelf.stored) == {key_of(question("ant 0"))}
        assert texts(await ask(answering, question("ant 0"))) == ["a ant 0"]
        go.set()
        assert texts(await upload) == [f"a ant {number}" for number in range(32)]
        assert len(proxy.calls) == 1

    run(main())


def test_a_strangers_deadline_is_nobody_elses() -> None:
    """In both orders: the request that joins has more time than the first one, or less."""

    async def main() -> None:
        go = asyncio.Event()

        async def until_the_deadline(call: Call) -> AsyncIterator[Event]:
            (only,) = call.asks
            try:
                async with asyncio.timeout(only.timeout):
                    await go.wait()
                    answer = answer_to(only.job)
            except TimeoutError:
                answer = Reply(failure=Failure.of(errors.DeadlineExceeded("late")))
            yield Event(0, reply=answer, identity=IDENTITY)

        for times in ((0.1, 50), (50, 0.1)):
            go.clear()
            proxy = FakeProxy(after=until_the_deadline)
            answering, _ = house(proxy)
            asked: dict[float, asyncio.Task[list[Result]]] = {}
            for seconds in times:
                asked[seconds] = asyncio.create_task(ask(answering, question("ant"), timeout=seconds))
                await settle(20)
            (late,) = await asked[0.1]
            assert isinstance(late, errors.DeadlineExceeded)
            go.set()
            assert texts(await asked[50]) == ["a ant"]
            assert [round(call.timeout, -1) for call in proxy.calls] == ([0, 50] if times[0] < 1 else [50])

    run(main())


def test_a_storm_of_overlapping_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random pictures, deadlines and departures: each request that stays has every answer unless its own time is over,
    and no job is sent that is under way.
    """
    monkeypatch.setattr("looksee.gateway.single_flight._GRACE", 0.005)

    async def main() -> None:
        rng = random.Random(5)
        late = 0

        async def answer(call: Call) -> AsyncIterator[Event]:
            came: asyncio.Queue[Event] = asyncio.Queue()

            async def work(number: int, one: Ask) -> None:
                nonlocal late
                needed = rng.choice((0, 0.005, 0.03))
                await asyncio.sleep(min(needed, one.timeout))
                overdue = needed > one.timeout
                late += overdue
                failure = Reply(failure=Failure.of(errors.DeadlineExceeded("late")))
                came.put_nowait(Event(number, reply=failure if overdue else answer_to(one.job), identity=IDENTITY))

            async with asyncio.TaskGroup() as group:
                for number, one in enumerate(call.asks):
                    group.create_task(work(number, one))
                for _ in call.asks:
                    yield await came.get()

        async def come(number: int) -> str:
            await asyncio.sleep(number * 0.0005)
            names, seconds = rng.choices("abcdefghij", k=rng.randint(1, 4)), rng.choice((0.01, 5, 5))
            until = time.monotonic() + seconds
            try:
                async with asyncio.timeout(rng.choice((0.004, 5, 5))):
                    results = await ask(answering, *map(question, names), timeout=seconds)
            except TimeoutError:
                return "left"
            for name, result in zip(names, results, strict=True):
                if isinstance(result, errors.DeadlineExceeded):
                    assert time.monotonic() >= until, "a stranger's deadline"
                else:
                    assert texts([result]) == [f"a {name}"]
            return "answered" if all(isinstance(result, ServedAnswer) for result in results) else "late"

        proxy = FakeProxy(after=answer)
        answering, shelf = house(proxy)
        shelf.get = nothing  # type: ignore[method-assign]
        before = counted()
        outcomes = Counter(await asyncio.gather(*(come(number) for number in range(300))))
        assert min(outcomes[kind] for kind in ("answered", "late", "left")) > 5, outcomes
        jobs = sum(len(call.jobs) for call in proxy.calls)
        after = counted()
        assert jobs <= after["miss"] - before["miss"] + late
        assert after["coalesced"] - before["coalesced"] > after["miss"] - before["miss"]
        await asyncio.sleep(0.05)
        assert not any(key_of(question(name)) in answering._flight for name in "abcdefghij")

    async def nothing(keys: Sequence[str]) -> dict[str, Answer]:
        return {}

    run(main())


def test_answers_do_not_wait_for_the_cache_and_those_of_one_moment_are_stored_together() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, shelf = house(proxy)
        go, together = asyncio.Event(), list[set[str]]()

        async def slow(outcomes: Mapping[str, Answer]) -> None:
            together.append(set(outcomes))
            await go.wait()
            shelf.stored.update(outcomes)

        shelf.put = slow  # type: ignore[method-assign]
        questions = [question(name) for name in ("ant", "bee", "cat")]
        assert texts(await ask(answering, *questions)) == ["a ant", "a bee", "a cat"]
        await settle(20)
        assert (together, shelf.stored) == ([set(map(key_of, questions))], {})
        assert texts(await ask(answering, question("bee"), question("dog"))) == ["a bee", "a dog"]
        assert sent(proxy)[1:] == [[b"dog"]]  # the answer to the bee is being stored
        await settle(20)
        go.set()
        await settle(20)
        assert together[1:] == [{key_of(question("dog"))}]
        assert [one.cached for one in served(await ask(answering, question("bee"), question("dog")))] == [True, True]

    run(main())


def test_the_time_before_the_call_counts() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, shelf = house(proxy)

        async def slow(keys: Sequence[str]) -> dict[str, Answer]:
            await asyncio.sleep(0.05)
            return {}

        shelf.get = slow  # type: ignore[method-assign]
        await ask(answering, question("ant"), timeout=1)
        assert 0.5 < proxy.calls[0].timeout <= 0.95

    run(main())


def test_an_unknown_model_is_refused_before_anything_else() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, shelf = house(proxy)
        with pytest.raises(errors.UnknownModel, match="blip") as caught:
            await answering.answer("gpt", [question("ant")], timeout=5)
        assert caught.value.param == "model"
        assert (proxy.calls, proxy.asked, shelf.asked) == ([], 0, [])

    run(main())


def test_a_task_that_the_model_cannot_do_is_refused() -> None:
    async def main() -> None:
        proxy = FakeProxy()
        answering, _ = house(proxy)
        with pytest.raises(errors.TaskNotSupported):
            await ask(answering, question("ant"), changed(question("bee"), task=Task.QUERY))
        assert proxy.calls == []

    run(main())


def test_an_answer_that_is_none_at_all_is_the_runners_fault() -> None:
    async def main() -> None:
        answering, shelf = house(FakeProxy(answer=lambda _: Reply()))
        (nothing,) = await ask(answering, question("ant"))
        assert isinstance(nothing, errors.RunnerFailed)
        assert shelf.stored == {}

    run(main())


def test_a_runner_that_comes_back_with_too_few_answers_hangs_nobody() -> None:
    async def main() -> None:
        async def first_alone(call: Call) -> AsyncIterator[Event]:
            yield Event(0, reply=answer_to(call.asks[0].job), identity=IDENTITY)

        proxy = FakeProxy(after=first_alone)
        answering, shelf = house(proxy)
        ant, bee = await ask(answering, question("ant"), question("bee"))
        assert texts([ant]) == ["a ant"]
        assert isinstance(bee, errors.RunnerFailed)
        assert set(shelf.stored) == {key_of(question("ant"))}
        proxy.after = None
        assert texts(await ask(answering, question("bee"))) == ["a bee"]

    run(main())
