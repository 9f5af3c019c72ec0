"""The desk answers jobs: from the cache, from an identical request that is under way, or from a runner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Counter

from cache import keys
from cache.answer_cache import AnswerCache
from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Answer, Identity, Job, Reply, Task, Timing
from looksee.gateway.broadcast import Listener, TextBroadcast
from looksee.gateway.moondream_cloud import MoondreamCloud
from looksee.gateway.runner_client import RunnerClient
from looksee.gateway.single_flight import SingleFlight
from looksee.models.registry import offer_for

_LOOKUPS = Counter("looksee_cache_requests_total", "Lookups by result: hit, miss, coalesced, bypass", ["result"])


@dataclass(frozen=True, slots=True)
class CacheableJob:
    """A job about pictures that were examined: one, several that are looked at together in their order, or none."""

    job: Job
    digests: tuple[str, ...]  # the pictures' sha256s in hex

    @classmethod
    def about(cls, pictures: Sequence[Picture], task: Task, prompt: str = "", **how: Any) -> CacheableJob:
        """`prompt` is in the words of `looksee.core.prompts` for the model asked, `how` are further fields of a Job."""
        images = tuple(picture.data for picture in pictures)
        return cls(Job(task, images, prompt, **how), tuple(picture.digest for picture in pictures))


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """An outcome, whose it is, and whether the cache had it."""

    answer: Answer
    identity: Identity
    cached: bool = False
    timing: Timing = field(default_factory=Timing)


Result = ServedAnswer | errors.LookseeError


class AnsweringService:
    """One for each gateway process; holds the cache and the clients of the runners."""

    def __init__(self, runners: Mapping[str, RunnerClient], cache: AnswerCache) -> None:
        self.runners, self.cache = runners, cache
        self.elsewhere: Mapping[str, MoondreamCloud] = {}  # models that are not ours
        self._flight: SingleFlight[Result] = SingleFlight()
        self._tellings: dict[Hashable, TextBroadcast] = {}

    def check_room(self, model: str) -> None:
        """Raises Overloaded where the model is given no more jobs: worth asking before a large body is read."""
        if model in self.runners:  # of others nobody here knows how busy they are
            self.runners[model].check_room()

    async def follow(
        self, model: str, question: CacheableJob, *, timeout: float, request_id: str = ""
    ) -> AsyncGenerator[str | ServedAnswer, None]:
        """The text of an answer in pieces, as it comes, and then the answer, whose text they are together.

        Raises the question's error beside those of `answer`. Closing it is leaving.
        """
        heard: asyncio.Queue[str] = asyncio.Queue()
        work = self.answer(model, [question], timeout=timeout, request_id=request_id, listener=heard.put_nowait)
        answering = asyncio.ensure_future(work)
        answering.add_done_callback(lambda _: heard.put_nowait(""))  # wakes who waits
        told = 0
        try:
            while not (answering.done() and heard.empty()):
                if piece := await heard.get():
                    told += len(piece)
                    yield piece
            (result,) = answering.result()
            if not isinstance(result, ServedAnswer):
                raise result
            if rest := result.answer.text[told:]:  # the cache had it, or somebody asked for it who did not listen
                yield rest
            yield result
        finally:
            answering.cancel()
            if answering.done() and not answering.cancelled():
                answering.exception()  # seen: whoever closes this wants to know nothing more

    async def answer(
        self,
        model: str,
        questions: Sequence[CacheableJob],
        *,
        timeout: float,
        request_id: str = "",
        listener: Listener | None = None,
    ) -> list[Result]:
        """A result for each question, in order; those the cache lacks travel to the runner together.

        A `listener` hears the text of a single question as it comes, as far as there is anything to hear.

        Raises UnknownModel or TaskNotSupported; whatever concerns single questions is in their results.
        """
        for question in questions:
            offer_for(model, question.job.task)
        deadline = time.monotonic() + timeout
        runner = self.elsewhere[model] if model in self.elsewhere else self.runners[model]
        identity = await runner.identity()
        jobs = [question.job for question in questions]
        cache_keys = [
            keys.key(job, question.digests, identity) if identity else None
            for job, question in zip(jobs, questions, strict=True)
        ]
        stored = await self.cache.get([key for key in dict.fromkeys(cache_keys) if key])
        missing = [index for index, key in enumerate(cache_keys) if key not in stored]

        # A question without a key (its answer could not be had again, or nobody knows whose it is) shares nothing.
        flights = [cache_keys[index] or object() for index in missing]

        async def run(own: list[int]) -> list[Result]:
            """Have the missing questions with these numbers answered, and store what is whole."""
            rest = deadline - time.monotonic()

            async def ask(number: int) -> Result:
                telling = self._tellings.get(flights[number])
                tell, job = telling.tell if telling else None, jobs[missing[number]]
                try:
                    answer, whose = await runner.ask(job, timeout=rest, request_id=request_id, listener=tell)
                except errors.LookseeError as error:
                    return error
                return _result(answer, whose)

            results = await asyncio.gather(*map(ask, own))
            own_keys = [cache_keys[missing[number]] for number in own]
            await self._store(dict(zip(own_keys, results, strict=True)), identity)
            return results

        async with self._listening(flights, listener):
            results, joined = await self._flight.run(flights, run)
        for index, shared in zip(missing, joined, strict=True):
            _LOOKUPS.labels("bypass" if cache_keys[index] is None else "coalesced" if shared else "miss").inc()
        _LOOKUPS.labels("hit").inc(len(questions) - len(missing))

        answered = dict(zip(missing, results, strict=True))
        if identity is not None:
            for index, key in enumerate(cache_keys):
                if key in stored:
                    answered[index] = ServedAnswer(stored[key], identity, cached=True)
        return [answered[index] for index in range(len(questions))]

    @asynccontextmanager
    async def _listening(self, flights: Sequence[Hashable], listener: Listener | None) -> AsyncIterator[None]:
        """Let a `listener` hear of the only one of `flights`, if there is one that is told of."""
        if listener is None or not flights:
            yield
            return
        (flight,) = flights
        telling = self._tellings.setdefault(flight, TextBroadcast())
        telling.follow(listener)
        try:
            yield
        finally:
            telling.leave(listener)
            if not telling.is_followed and self._tellings.get(flight) is telling:
                del self._tellings[flight]

    async def _store(self, results: Mapping[str | None, Result], identity: Identity | None) -> None:
        """Store the answers of `identity`: keys are not those of another's, who may have come while they were asked."""
        await self.cache.put(
            {
                key: result.answer
                for key, result in results.items()
                if key is not None and isinstance(result, ServedAnswer) and result.identity == identity
            }
        )


def _result(answer: Reply, identity: Identity | None) -> Result:
    if answer.answer is not None and identity is not None:
        return ServedAnswer(answer.answer, identity, timing=answer.timing)
    return answer.failure.error() if answer.failure else errors.RunnerFailed("The model gave no answer.")
