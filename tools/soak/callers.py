"""The callers: they ask in any dialect, some leave in the middle, some ask the same at the same time."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tools.soak import clients, container
from tools.soak.dialects import DIALECTS, Dialect
from tools.soak.exchange import Ask, BadShape, Query, Refused, Told
from tools.soak.questions import CHAT, FLAG, TOGETHER, Said, SoakQuestion, same
from tools.soak.server import REQUEST_SECONDS

HUNG = REQUEST_SECONDS + 30.0  # seconds after which a request that is not answered never will be
_LEAVES, _TWINS, _SEEN = 0.12, 0.15, 0.5  # part of the requests
_AGAIN = 2  # variants of a picture that are asked again and again; any other is asked once
_SPOILT = frozenset(
    "runner_failed model_not_ready deadline_exceeded overloaded out_of_memory flag_failed weights_unavailable".split()
)
_SHOWN = 20  # wrong answers that are told


@dataclass(frozen=True)
class Known:
    """A question and what it is answered alone."""

    question: SoakQuestion
    said: Said

    def query(self, variant: int) -> Query:
        """The question as it is sent; each variant's pictures have other bytes and the same pixels."""
        one = self.question
        behind = variant.to_bytes(8, "big")
        return Query(one.model, one.kind, one.words, tuple(sight.data + behind for sight in one.sights))


@dataclass
class Tally:
    """What came of the requests. `right` and `wrong` count answers, of which a request may have several."""

    right: Counter[str] = field(default_factory=Counter)  # by dialect
    wrong: list[dict[str, Any]] = field(default_factory=list)
    cached: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by code: what a fault explains
    unexpected: Counter[str] = field(default_factory=Counter)  # what none does
    left: int = 0
    broken: int = 0  # connections
    hung: int = 0

    def shown(self) -> dict[str, Any]:
        counts = {name: dict(getattr(self, name)) for name in ("right", "refused", "unexpected")}
        numbers = {name: getattr(self, name) for name in ("cached", "left", "broken", "hung")}
        return {"answers": sum(self.right.values()), **counts, **numbers, "wrong": self.wrong[:_SHOWN]}


async def alone(url: str, questions: Sequence[SoakQuestion]) -> tuple[list[Known], int]:
    """What each question is answered when nothing else is asked of its model, and how many were answered wrongly.

    Those are left out: of an answer that was wrong about its own picture, little would tell whose it is.
    """
    of_models: dict[str, list[SoakQuestion]] = defaultdict(list)
    for question in questions:
        of_models[question.model].append(question)
    ways: dict[str, Ask] = {FLAG: container.form, CHAT: clients.chat, TOGETHER: container.together_form}
    known: list[Known] = []

    async def ask_all(session: aiohttp.ClientSession, own: Iterable[SoakQuestion]) -> None:
        for question in own:
            query = Known(question, "").query(0)
            (told,) = await _patiently(session, url, ways.get(question.kind, container.native), query)
            if not isinstance(told.said, Refused) and question.is_true(told.said):
                known.append(Known(question, told.said))

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(ask_all(session, own) for own in of_models.values()))
    return known, len(questions) - len(known)


async def _patiently(session: aiohttp.ClientSession, url: str, ask: Ask, query: Query) -> list[Told]:
    """The answer, also of a model that still loads."""
    for _ in range(120):
        try:
            return await ask(session, url, [query])
        except Refused as refused:
            if refused.code not in _SPOILT:
                raise
            await asyncio.sleep(1)
    raise SystemExit(f"{query.model} does not come to answer")


class Callers:
    """Asks at random what is `known`, and keeps the tally."""

    def __init__(self, url: str, known: Sequence[Known], seed: str) -> None:
        self._url, self._known, self._rng = url, known, random.Random(seed)
        self._of: dict[tuple[str, str], list[Known]] = defaultdict(list)
        for one in known:
            self._of[one.question.model, one.question.kind].append(one)
        self._fresh = itertools.count(1000)
        self.tally = Tally()

    async def go_on(self, count: int) -> None:
        """`count` callers, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=HUNG)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            await asyncio.gather(*(self._caller(session) for _ in range(count)))

    async def _caller(self, session: aiohttp.ClientSession) -> None:
        while True:
            dialect, chosen = self._chosen()
            asks = [self._request(session, dialect, chosen)]
            if self._rng.random() < _TWINS:
                others = [one for one in DIALECTS if _fits(one, chosen)]
                asks += [self._request(session, self._rng.choice(others), chosen) for _ in range(2)]
            await asyncio.gather(*asks)

    def _chosen(self) -> tuple[Dialect, list[tuple[Known, int]]]:
        """A dialect, and questions that go into one request of it, with the variants of their pictures."""
        rng = self._rng
        while True:
            dialect = rng.choice(DIALECTS)
            pairs = [pair for pair in self._of if pair[1] in dialect.kinds]
            if not pairs:
                continue
            of_one = self._of[rng.choice(pairs)] if dialect.one_model else [
                one for one in self._known if one.question.kind in dialect.kinds
            ]  # fmt: skip
            questions = rng.choices(of_one, k=rng.randint(1, dialect.most))
            return dialect, [(one, self._variant()) for one in questions]

    def _variant(self) -> int:
        return self._rng.randrange(_AGAIN) if self._rng.random() < _SEEN else next(self._fresh)

    async def _request(
        self, session: aiohttp.ClientSession, dialect: Dialect, chosen: Sequence[tuple[Known, int]]
    ) -> None:
        queries = [one.query(variant) for one, variant in chosen]
        patience = self._rng.uniform(0.0, 0.5) if self._rng.random() < _LEAVES else None
        try:
            async with asyncio.timeout(patience):
                told = await dialect.ask(session, self._url, queries)
        except TimeoutError:
            self.tally.left += patience is not None
            self.tally.hung += patience is None
        except Refused as refused:
            await self._refuse(refused)
        except (BadShape, KeyError, TypeError, ValueError) as error:
            self._tell(dialect, chosen[0][0], f"{type(error).__name__}: {error}")
        except (aiohttp.ClientError, ConnectionError):
            self.tally.broken += 1
            await asyncio.sleep(0.2)
        else:
            for (one, _), answer in zip(chosen, told, strict=True):
                await self._judge(dialect, one, answer)

    async def _judge(self, dialect: Dialect, one: Known, told: Told) -> None:
        if isinstance(told.said, Refused):
            await self._refuse(told.said)
        elif same(told.said, one.said):
            self.tally.right[dialect.name] += 1
            self.tally.cached += told.cached is True
        else:
            self._tell(dialect, one, told.said)

    def _tell(self, dialect: Dialect, one: Known, said: Said) -> None:
        """A wrong answer, and to how many other questions of the same kind it would have been the right one."""
        asked = one.question
        others = sum(other is not one and same(other.said, said) for other in self._of[asked.model, asked.kind])
        self.tally.wrong.append(
            {
                **{"dialect": dialect.name, "model": asked.model, "kind": asked.kind, "words": asked.words},
                **{"said": said, "alone": one.said, "answer of others": others},
            }
        )

    async def _refuse(self, refused: Refused) -> None:
        explained = refused.code in _SPOILT or (not refused.code and refused.status in (429, 502, 503, 504))
        (self.tally.refused if explained else self.tally.unexpected)[str(refused)] += 1
        await asyncio.sleep(0.1)


def _fits(dialect: Dialect, chosen: Sequence[tuple[Known, int]]) -> bool:
    """Whether the same questions can go into one request of this dialect."""
    questions = [one.question for one, _ in chosen]
    alike = len({one.model for one in questions}) == 1 if dialect.one_model else True
    return alike and len(questions) <= dialect.most and all(one.kind in dialect.kinds for one in questions)
