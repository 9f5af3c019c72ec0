"""The desk answers jobs: from the cache, from an identical request that is under way, or from a runner."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter

import errors
from cache import keys
from cache.lookaside import Lookaside
from gateway.flight import Flight
from gateway.runners import RunnerClient
from models.catalog import entry_for
from vision.images import Picture
from vision.tasks import Answer, Failure, Identity, Job, Outcome, Task, Timing

_LOOKUPS = Counter("looksee_cache_requests_total", "Lookups by result: hit, miss, coalesced, bypass", ["result"])


@dataclass(frozen=True, slots=True)
class Question:
    """A job about pictures that were examined."""

    task: Task
    picture: Picture
    prompt: str = ""
    max_new_tokens: int = 50

    def job(self) -> Job:
        return Job(self.task, (self.picture.data,), self.prompt, self.max_new_tokens)


@dataclass(frozen=True, slots=True)
class Served:
    """One question's result: an outcome or an error, whose it is, and whether the cache had it."""

    identity: Identity | None
    outcome: Outcome | None = None
    error: errors.LookseeError | None = None
    cached: bool = False
    timing: Timing = Timing()

    def result(self) -> Outcome:
        """The outcome; raises the error if there is one."""
        if self.outcome is None:
            raise self.error or errors.RunnerFailed("The model gave no answer.")
        return self.outcome


_Flown = tuple[Answer, Identity | None]


class Desk:
    """One for each gateway process; holds the cache and the clients of the runners."""

    def __init__(self, runners: Mapping[str, RunnerClient], cache: Lookaside) -> None:
        self.runners, self.cache = runners, cache
        self._flight: Flight[_Flown] = Flight()

    async def answer(
        self, model: str, questions: Sequence[Question], *, timeout: float, request_id: str = ""
    ) -> list[Served]:
        """A result for each question, in order; those the cache lacks travel to the runner in one call.

        Raises UnknownModel or TaskNotSupported; whatever concerns single questions is in their results.
        """
        for question in questions:
            entry_for(model, question.task)
        deadline = time.monotonic() + timeout
        runner = self.runners[model]
        identity = await runner.identity()
        jobs = [question.job() for question in questions]
        cache_keys = [
            identity and keys.key(job, question.picture.digest, identity)
            for job, question in zip(jobs, questions, strict=True)
        ]
        stored = await self.cache.get([key for key in dict.fromkeys(cache_keys) if key])
        missing = [index for index, key in enumerate(cache_keys) if key not in stored]

        async def run(own: list[int]) -> list[_Flown]:
            wanted = [missing[index] for index in own]
            rest = deadline - time.monotonic()
            try:
                reply = await runner.infer([jobs[index] for index in wanted], timeout=rest, request_id=request_id)
            except errors.LookseeError as error:
                return [(Answer(failure=Failure.of(error)), identity)] * len(wanted)
            if reply.identity == identity:  # else the runner came back with other weights: these keys are not theirs
                await self._store([cache_keys[index] for index in wanted], reply.answers)
            return [(answer, reply.identity) for answer in reply.answers]

        flown: dict[int, _Flown] = {}
        if missing:
            # A question without a key shares nothing: its flight is its own.
            flights = [cache_keys[index] or object() for index in missing]
            results, joined = await self._flight.run(flights, run)
            flown = dict(zip(missing, results, strict=True))
            for index, shared in zip(missing, joined, strict=True):
                _LOOKUPS.labels("bypass" if cache_keys[index] is None else "coalesced" if shared else "miss").inc()
        _LOOKUPS.labels("hit").inc(len(questions) - len(missing))

        served = []
        for index, key in enumerate(cache_keys):
            if key in stored:
                served.append(Served(identity, stored[key], cached=True))
            else:
                answer, whose = flown[index]
                error = answer.failure.error() if answer.failure else None
                served.append(Served(whose, answer.outcome, error, timing=answer.timing))
        return served

    async def _store(self, cache_keys: Sequence[str | None], answers: Sequence[Answer]) -> None:
        await self.cache.put(
            {key: answer.outcome for key, answer in zip(cache_keys, answers, strict=True) if key and answer.outcome}
        )
