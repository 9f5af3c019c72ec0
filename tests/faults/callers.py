"""Callers of a service that is broken under them: how their requests ended, and whether the answers were right."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support import pictures
from tests.support.serving import API_KEY, PATIENCE, Service

ROUTE = "/api/caption-images"
CUT_OFF = "connection lost"

File = tuple[bytes, str]  # a picture, and what is to be said of it


def drawn(name: str, count: int) -> list[File]:
    """So many fresh scenes."""
    return [pictures.scene(f"{name}-{number}", count=1) for number in range(count)]


@dataclass
class Seen:
    """What callers saw. `ends` has a status, with the code of an error, or `CUT_OFF` for a connection that was lost."""

    ends: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0  # seconds
    unlike: list[tuple[File, str]] = field(default_factory=list)  # what was said and is not what is drawn
    cached: int = 0

    @property
    def only_answers(self) -> bool:
        return set(self.ends) == {"200"}

    def took(self, answer: httpx.Response, seconds: float) -> None:
        """Note an answer that came after so many seconds."""
        code = "" if answer.status_code == 200 else f" {answer.json()['error']['code']}"
        self.ends[f"{answer.status_code}{code}"] += 1
        self.longest = max(self.longest, seconds)
        if answer.status_code in (429, 502, 503) and code != " runner_failed":
            assert int(answer.headers["retry-after"]) > 0

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            self.ends + other.ends,
            max(self.longest, other.longest),
            self.unlike + other.unlike,
            self.cached + other.cached,
        )


async def _captions(url: str, files: Sequence[File], concurrency: int, model: str) -> Seen:
    gate, seen = asyncio.Semaphore(concurrency), Seen()

    async def one(client: httpx.AsyncClient, file: File) -> None:
        async with gate:
            began = time.monotonic()
            try:
                answer = await client.post(ROUTE, params={"model": model}, files={"images": ("a.png", file[0])})
            except httpx.TransportError:
                seen.ends[CUT_OFF] += 1
                return
        seen.took(answer, time.monotonic() - began)
        if answer.status_code == 200:
            result = answer.json()["results"][0]
            seen.cached += result["cache"]
            if result["caption"] != file[1]:
                seen.unlike.append((file, result["caption"]))

    limits = httpx.Limits(max_connections=concurrency)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        await asyncio.gather(*(one(client, file) for file in files))
    return seen


async def captions_of(service: Service, files: Sequence[File], *, concurrency: int = 8, model: str = "blip") -> Seen:
    """Ask for captions of `files`."""
    return await _captions(service.url, files, concurrency, model)


def ask(service: Service, files: Sequence[File], *, concurrency: int = 8, model: str = "blip") -> Seen:
    """`captions_of`, from where no loop runs."""
    return asyncio.run(captions_of(service, files, concurrency=concurrency, model=model))


def wrong(service: Service, seen: Seen, *, model: str = "blip") -> list[str]:
    """Of what callers were told, what the unharmed service does not say. The weights themselves err now and then."""
    if not seen.unlike:
        return []
    cleared = service.client.post("/api/admin/reset-cache", headers={"X-API-Key": API_KEY})
    assert cleared.status_code == 200
    calm = ask(service, [file for file, _ in seen.unlike], concurrency=1, model=model)
    told = {file[0]: said for file, said in calm.unlike}
    return [said for file, said in seen.unlike if told.get(file[0]) != said]


def until_answered(service: Service, *, model: str = "blip", name: str = "again") -> float:
    """Seconds until a fresh picture is answered."""
    began = time.monotonic()
    for number in range(10_000):
        seen = ask(service, drawn(f"{name}-{began}-{number}", 1), model=model)
        if seen.only_answers:
            break
        assert time.monotonic() - began < PATIENCE, seen.ends
        time.sleep(0.05)
    return time.monotonic() - began


def state(service: Service, model: str) -> Any:
    """What /health says of a model."""
    return service.client.get("/health").json()["models"][model]
