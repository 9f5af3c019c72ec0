"""Answers jobs: from the cache, from an identical request that is under way, or from a runner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from opentelemetry.trace import SpanKind
from prometheus_client import Counter

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Answer, Identity, Job, Reply, Task, Timing, Turn
from looksee.core.texts import tidied
from looksee.gateway import demand
from looksee.gateway.answer_cache import AnswerCache
from looksee.gateway.broadcast import Listener
from looksee.gateway.kept_pictures import KeptPictures
from looksee.gateway.load_clock import LoadClock
from looksee.gateway.moondream_cloud import MoondreamCloud
from looksee.gateway.runners.client import RunnerClient
from looksee.gateway.single_flight import SingleFlight
from looksee.models.registry import offer_for, resolved
from looksee.watching import requests, spans

_LOOKUPS = Counter("looksee_cache_requests_total", "Lookups by result: hit, miss, coalesced, bypass", ["result"])


@dataclass(frozen=True, slots=True)
class CacheableJob:
    """A job about pictures that were examined: one, several that are looked at together in their order, or none."""

    job: Job
    digests: tuple[str, ...]  # the pictures' sha256s in hex

    @classmethod
    def about(cls, pictures: Sequence[Picture], task: Task, prompt: str = "", **how: Any) -> CacheableJob:
        """`prompt` is in the words for the model asked (`registry.prompts`), `how` are further fields of a Job.

        The white space of all texts is tidied here, so that it makes no other key either.
        """
        images = tuple(picture.data for picture in pictures)
        if turns := how.get("turns"):
            how["turns"] = tuple(
                Turn(turn.role, tuple(part if part is None else tidied(part) for part in turn.parts)) for turn in turns
            )
        return cls(Job(task, images, tidied(prompt), **how), tuple(picture.digest for picture in pictures))


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """An answer, the identity of the weights that gave it, and whether it came from the cache."""

    answer: Answer
    identity: Identity
    cached: bool = False
    timing: Timing = field(default_factory=Timing)


Result = ServedAnswer | errors.LookseeError


class AnsweringService:
    """One for each gateway process; holds the cache, the pictures that are kept, and the clients of the runners."""

    def __init__(
        self, runners: Mapping[str, RunnerClient], cache: AnswerCache, pictures: KeptPictures | None = None
    ) -> None:
        self.runners, self.cache, self.pictures = runners, cache, pictures or KeptPictures()
        self.elsewhere: Mapping[str, MoondreamCloud] = {}  # models that are not ours
        self._flight: SingleFlight[ServedAnswer] = SingleFlight()
        self._unstored: dict[str, Answer] = {}
        self._storing: asyncio.Task[None] | None = None

    def check_room(self, model: str) -> None:
        """Raises Overloaded where the model is given no more jobs: worth asking before a large body is read."""
        runner = self.runners.get(resolved(model))
        if runner is not None:  # of others nobody here knows how busy they are
            runner.check_room()

    async def rehearse(self, model: str) -> None:
        """Go the way of a request once, without one: connections are made when they are first needed."""
        await asyncio.gather(self.runners[model].rehearse(), self.cache.ping())

    async def follow(
        self,
        model: str,
        question: CacheableJob,
        *,
        timeout: float,
        request_id: str = "",
        clock: LoadClock | None = None,
    ) -> AsyncGenerator[str | ServedAnswer, None]:
        """The text of an answer in pieces, as it comes, and then the answer, whose text they are together.

        Raises the question's error beside those of `answer`. Closing it is leaving.
        """
        pieces: asyncio.Queue[str] = asyncio.Queue()
        how: dict[str, Any] = {"timeout": timeout, "request_id": request_id, "clock": clock}
        work = self.answer(model, [question], **how, listener=pieces.put_nowait)
        answering = asyncio.ensure_future(work)
        answering.add_done_callback(lambda _: pieces.put_nowait(""))  # ends the wait below
        sent = ""
        try:
            while not (answering.done() and pieces.empty()):
                if piece := await pieces.get():
                    sent += piece
                    yield piece
            (result,) = answering.result()
            if not isinstance(result, ServedAnswer):
                raise result
            if not result.answer.text.startswith(sent):  # the work was begun anew and gave another text
                raise errors.RunnerFailed("The answer changed while it was sent; try again.")
            if rest := result.answer.text[len(sent) :]:  # from the cache, or from a run without a listener
                yield rest
            yield result
        finally:
            # The caller may have left: nobody else looks at what it raises.
            answering.add_done_callback(lambda done: done.cancelled() or done.exception())
            answering.cancel()
            if not answering.done():
                await asyncio.wait((answering,))

    async def answer(
        self,
        model: str,
        questions: Sequence[CacheableJob],
        *,
        timeout: float,
        request_id: str = "",
        listener: Listener | None = None,
        clock: LoadClock | None = None,
    ) -> list[Result]:
        """A result for each question, in order; those the cache lacks travel to the runner together.

        With a `clock` its time counts, which stands still while the model loads, and not `timeout`.

        A `listener` gets the pieces of a single question's text as they come, as far as there are any.

        Raises UnknownModel or TaskNotSupported; whatever concerns single questions is in their results.
        """
        for question in questions:
            offer_for(model, question.job.task)
        with requests.under_way(model, len(questions)) as under_way:
            how: dict[str, Any] = {"timeout": timeout, "request_id": request_id, "listener": listener, "clock": clock}
            return await self._answer(model, questions, under_way, **how)

    async def _answer(
        self,
        model: str,
        questions: Sequence[CacheableJob],
        under_way: requests.Questions,
        *,
        timeout: float,
        request_id: str,
        listener: Listener | None,
        clock: LoadClock | None,
    ) -> list[Result]:
        deadline = time.monotonic() + timeout
        runner = self.elsewhere[model] if model in self.elsewhere else self.runners[model]
        identity = await runner.identity()
        jobs = [question.job for question in questions]
        cache_keys = [
            self.cache.key(job, question.digests, identity) if identity else None
            for job, question in zip(jobs, questions, strict=True)
        ]
        stored = await self.cache.get([key for key in dict.fromkeys(cache_keys) if key])

        async def result(job: Job, key: str | None) -> Result:
            with spans.span(f"answer {model}", {"gen_ai.request.model": model}) as span:
                found, lookup = await looked_up(job, key)
                span.set_attribute("looksee.cache", lookup)
                if isinstance(found, errors.LookseeError):
                    spans.failed(span, found.code)
                    under_way.end(found.code, "failed")
                else:
                    under_way.end(found.answer.finish, "cached" if found.cached else "computed")
                return found

        async def looked_up(job: Job, key: str | None) -> tuple[Result, str]:
            """From the cache, or from the one run of all identical questions; and which of these it was."""
            if key in stored and identity is not None:
                _LOOKUPS.labels("hit").inc()
                return ServedAnswer(stored[key], identity, cached=True), "hit"

            async def ask(until: float, tell: Listener | None) -> ServedAnswer:
                how: dict[str, Any] = {"timeout": until - time.monotonic(), "request_id": request_id, "listener": tell}
                if model in self.runners and self._flight.waits_apart(shared):
                    how["on_wait"] = partial(self._flight.on_wait, shared)
                with spans.span(f"ask {model}", kind=SpanKind.CLIENT):
                    return _served(*await runner.ask(job, **how))

            async def keep(served: ServedAnswer) -> None:
                # The weights may have changed meanwhile.
                if key is not None and served.identity == identity and served.answer.is_worth_keeping:
                    await self._store(key, served.answer)

            # A question without a key (its answer is random, or the model's identity is unknown) shares nothing.
            shared = key or object()
            if shared not in self._flight:
                demand.ask(model)
            lookup = "bypass" if key is None else "coalesced" if shared in self._flight else "miss"
            _LOOKUPS.labels(lookup).inc()
            try:
                how: dict[str, Any] = {"deadline": deadline, "listener": listener, "clock": clock}
                return await self._flight.run(shared, ask, keep, **how), lookup
            except errors.LookseeError as error:
                return error, lookup

        async with asyncio.TaskGroup() as group:  # tasks of one tick: the channel sends their jobs together
            results = [group.create_task(result(job, key)) for job, key in zip(jobs, cache_keys, strict=True)]
        return [each.result() for each in results]

    async def _store(self, key: str, outcome: Answer) -> None:
        """Store an answer, in one pipeline with the others of the same tick."""
        self._unstored[key] = outcome
        if len(self._unstored) == 1:
            self._storing = asyncio.create_task(self._store_all())
        assert self._storing is not None
        await self._storing

    async def _store_all(self) -> None:
        outcomes, self._unstored = self._unstored, {}
        await self.cache.put(outcomes)


def _served(answer: Reply, identity: Identity | None) -> ServedAnswer:
    """Raises the error that the answer is."""
    if answer.answer is not None and identity is not None:
        return ServedAnswer(answer.answer, identity, timing=answer.timing)
    raise answer.failure.error() if answer.failure else errors.RunnerFailed("The model gave no answer.")
