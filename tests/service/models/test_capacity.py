"""MODEL_CAPACITY=1 and requests for all models at once: everybody is served, and one model is loaded at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import httpx
import psutil
import pytest

from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES
from runners.capacity import CapacityManager, LeaseHolder
from tests.service.routes.test_captioning import ROUTE, error
from tests.support import pictures
from tests.support.serving import API_KEY, Service, serve

# Also before all sample weights are trained there is something to take turns.
MODELS = [name for name in REGISTRY if (SAMPLES / name / "model.safetensors").is_file()]
KEY = {"X-API-Key": API_KEY}
CONCURRENCY = 8

pytestmark = pytest.mark.skipif(len(MODELS) < 2, reason="needs the sample weights of two models")


@pytest.fixture(scope="module")
def crowded() -> Iterator[Service]:
    # The first load of each model imports its libraries, and here the models wait for each other.
    with serve(models=MODELS, redis_url="", MODEL_CAPACITY="1", LOOKSEE_LOAD_WAIT_SECONDS="100") as running:
        yield running


@dataclass
class SeenStates:
    """What was seen while the service was at work."""

    resident: int = 0  # most models in memory at a time
    ready: int = 0  # most that said so of themselves
    states: set[str] = field(default_factory=set)
    memory: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # largest of each, in bytes


def holders(service: Service) -> list[LeaseHolder]:
    return CapacityManager(service.log.parent / "looksee", 1, "").holders()


async def models(client: httpx.AsyncClient) -> dict[str, dict[str, object]]:
    described: dict[str, dict[str, object]] = (await client.get("/api/admin/models", headers=KEY)).json()["models"]
    return described


@contextlib.asynccontextmanager
async def watching(service: Service, client: httpx.AsyncClient) -> AsyncIterator[SeenStates]:
    seen = SeenStates()

    async def look() -> None:
        while True:
            seen.resident = max(seen.resident, len(holders(service)))
            described = await models(client)
            seen.ready = max(seen.ready, sum(model["state"] == "ready" for model in described.values()))
            for name, model in described.items():
                seen.states.add(str(model["state"]))
                seen.memory[name] = max(seen.memory[name], int(str(model.get("memory_bytes") or 0)))
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


async def ask(client: httpx.AsyncClient, gate: asyncio.Semaphore, model: str, name: str) -> str:
    """A caption's status and model."""
    data, _ = pictures.scene(name, count=1)
    async with gate:
        response = await client.post(ROUTE, params={"model": model}, files={"images": ("a.png", data)})
    if response.status_code != 200:
        return f"{model}: {response.status_code} {response.text}"
    return f"{response.json()['results'][0]['model']}: 200"


async def crowd(client: httpx.AsyncClient, name: str, count: int) -> None:
    """`count` requests for random models; all are answered."""
    rng = random.Random(name)
    gate = asyncio.Semaphore(CONCURRENCY)
    chosen = [rng.choice(MODELS) for _ in range(count)]
    ends = await asyncio.gather(*(ask(client, gate, model, f"{name}-{number}") for number, model in enumerate(chosen)))
    assert ends == [f"{model}: 200" for model in chosen]


def client_of(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, timeout=120, limits=httpx.Limits(max_connections=CONCURRENCY + 2))


def lives(service: Service) -> list[tuple[str, str]]:
    """(loaded or released, model) in the order of the log, which all processes write to."""
    return re.findall(r"\] (loaded|released) (\w+)", service.log.read_text())


def test_all_are_served_and_one_is_loaded_at_a_time(crowded: Service) -> None:
    async def main() -> tuple[SeenStates, SeenStates]:
        async with client_of(crowded) as client:
            async with watching(crowded, client) as early:
                await crowd(client, "early", 20)
            async with watching(crowded, client) as late:
                await crowd(client, "late", 20)
            return early, late

    early, late = asyncio.run(main())
    for seen in (early, late):
        assert seen.resident == 1
        assert seen.ready == 1
    assert {"ready", "waiting"} <= early.states
    order = lives(crowded)
    assert {name for _, name in order} == set(MODELS)
    loads, releases = order[::2], order[1::2]  # who was loaded is released before the next one is loaded
    assert {event for event, _ in loads} == {"loaded"}
    assert releases == [("released", name) for _, name in loads][: len(releases)]
    for name in MODELS:  # as much memory as before, after being loaded again and again
        assert late.memory[name] < early.memory[name] + 64 * 2**20


def test_a_killed_holder_takes_no_request_along(crowded: Service) -> None:
    async def main() -> SeenStates:
        async with client_of(crowded) as client, watching(crowded, client) as seen:
            load = asyncio.create_task(crowd(client, "killed", 30))
            await asyncio.sleep(2)
            end = time.monotonic() + 20
            while not (found := [holder for holder in holders(crowded) if holder.busy]):
                assert time.monotonic() < end
                await asyncio.sleep(0.005)
            psutil.Process(found[0].pid).kill()
            await load
            return seen

    seen = asyncio.run(main())
    assert (seen.resident, seen.ready) == (1, 1)
    order = lives(crowded)
    loads = [name for event, name in order if event == "loaded"]
    assert len(loads) - sum(event == "released" for event, _ in order) in (1, 2)  # the killed one, and who is there now


def test_loading_and_unloading_by_hand(crowded: Service) -> None:
    def post(name: str, what: str) -> httpx.Response:
        return crowded.client.post(f"/api/admin/models/{name}/{what}", headers=KEY, timeout=110)

    def states() -> dict[str, str]:
        described = crowded.client.get("/api/admin/models", headers=KEY).json()["models"]
        return {name: described[name]["state"] for name in MODELS}

    first, second = MODELS[:2]
    for name in (first, second, first):
        loaded = post(name, "load")
        assert (loaded.status_code, loaded.json()["state"], loaded.json()["weights"]) == (200, "ready", "sample")
        assert loaded.json()["memory_bytes"] > 2**20
        assert loaded.json()["last_use"]
        assert states() == {model: "ready" if model == name else "unloaded" for model in MODELS}
        health = crowded.client.get("/health").json()["models"]
        assert {model: health[model] for model in MODELS} == states()
    assert post(first, "unload").json()["state"] == "unloaded"
    assert post(first, "unload").status_code == 200
    assert holders(crowded) == []
    assert error(post("nobody", "load")) == (404, "model_not_found")
    assert error(crowded.client.post(f"/api/admin/models/{first}/load")) == (401, "missing_key")


def test_an_unloaded_model_comes_back_for_the_next_request(crowded: Service) -> None:
    name = MODELS[-1]
    crowded.client.post(f"/api/admin/models/{name}/unload", headers=KEY)
    data, _ = pictures.scene("back again")
    assert crowded.client.post(ROUTE, params={"model": name}, files={"images": ("a.png", data)}).status_code == 200
    (holder,) = holders(crowded)
    assert holder.model == name
