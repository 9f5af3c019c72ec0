"""Weights that Ollama's clients ask for: who may, what is told meanwhile, and what is left when nobody waits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import httpx
import ollama
import pytest
from starlette.responses import StreamingResponse

from looksee.http.dialects.ollama.pulling import Pulls
from looksee.http.dialects.ollama.requests import PullBody
from looksee.models.registry import REGISTRY
from looksee.models.weights import hub
from tests.http.app import Doors, content
from tests.support.loops import PATIENCE, run, until

KEY = "the-key-of-the-service"
ENTRY = REGISTRY["gemma"]


def client(doors: Doors, **how: Any) -> ollama.AsyncClient:
    return ollama.AsyncClient("http://looksee", transport=httpx.ASGITransport(doors.app), **how)


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[hub.Tell], Path]], None]:
    """Has the hub do something else."""

    def replace(fetch: Callable[[hub.Tell], Path]) -> None:
        def replaced(repository: str, revision: str, tell: hub.Tell) -> Path:
            assert (repository, revision) == (ENTRY.hub_id, ENTRY.revision)
            return fetch(tell)

        monkeypatch.setattr(hub, "fetch", replaced)

    return replace


async def lines(doors: Doors, body: PullBody, pulls: Pulls | None = None) -> AsyncGenerator[dict[str, Any], None]:
    """What is said, as it is said."""
    answer = await (pulls or Pulls()).answer(doors.context(), body)
    assert isinstance(answer, StreamingResponse)
    said = cast(AsyncGenerator[bytes, None], answer.body_iterator)
    async with aclosing(said):
        async for line in said:
            yield json.loads(line)


def test_the_progress_is_told(fetching: Callable[[Callable[[hub.Tell], Path]], None]) -> None:
    told = threading.Event()

    def fetch(tell: hub.Tell) -> Path:
        tell(10, 1000)
        assert told.wait(PATIENCE)
        tell(1000, 1000)
        return Path()

    async def read() -> list[dict[str, Any]]:
        found = []
        async for line in lines(Doors(weights="hub"), PullBody(model="gemma3:4b")):
            found.append(line)
            if "total" in line:
                told.set()
        return found

    fetching(fetch)
    said = run(read())
    assert said[0] == {"status": "pulling manifest"}
    assert (said[1]["total"], said[1]["completed"], said[1]["digest"]) == (1000, 10, ENTRY.revision)
    assert said[-1] == {"status": "success"}


def test_callers_of_one_model_share_a_download(fetching: Callable[[Callable[[hub.Tell], Path]], None]) -> None:
    begun, going_on = [], threading.Event()

    def fetch(tell: hub.Tell) -> Path:
        begun.append(1)
        tell(10, 1000)
        assert going_on.wait(PATIENCE)
        tell(1000, 1000)
        return Path()

    async def read() -> list[dict[str, Any]]:
        doors, pulls = Doors(weights="hub"), Pulls()
        first = lines(doors, PullBody(model="gemma"), pulls)
        while "total" not in await anext(first):
            pass
        second = lines(doors, PullBody(model="gemma3"), pulls)
        while "total" not in await anext(second):
            pass
        await first.aclose()  # the other one still waits
        going_on.set()
        return [line async for line in second]

    fetching(fetch)
    assert run(read())[-1] == {"status": "success"}
    assert begun == [1]


def test_what_fails_is_told(fetching: Callable[[Callable[[hub.Tell], Path]], None]) -> None:
    def fetch(tell: hub.Tell) -> Path:
        raise hub.HubError("The hub is away.")

    fetching(fetch)
    doors = Doors(weights="hub")
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError, match="The hub is away"):
            run(pull(doors, stream=stream))
    answer = doors.send("/api/pull", json={"model": "gemma", "stream": False})
    assert (answer.status_code, content(answer)["error"]["code"]) == (503, "weights_unavailable")


async def pull(doors: Doors, *, stream: bool) -> None:
    if not stream:
        await client(doors).pull("gemma")
        return
    async for _ in await client(doors).pull("gemma", stream=True):
        pass


def test_nothing_is_fetched_for_nobody(fetching: Callable[[Callable[[hub.Tell], Path]], None]) -> None:
    stopped = threading.Event()

    def fetch(tell: hub.Tell) -> Path:
        try:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                tell(1, 1000)
        finally:
            stopped.set()
        return Path()

    async def leave() -> None:
        async with aclosing(lines(Doors(weights="hub"), PullBody(name="gemma"))) as said:
            async for line in said:
                if "total" in line:
                    break
        await until(stopped.is_set)

    fetching(fetch)
    run(leave())


def test_sample_weights_are_here() -> None:
    doors = Doors(weights="sample")
    assert run(client(doors).pull("blip")).status == "success"
    assert doors.send("/api/pull", json={"name": "blip", "insecure": True}).text.endswith('{"status":"success"}\n')


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"X-API-Key": "wrong"}, 403), ({"X-API-Key": KEY}, 200), ({"Authorization": f"Bearer {KEY}"}, 200)],
    ids=str,
)
def test_the_key_of_the_service_is_asked_for_where_it_is_set(headers: dict[str, str], status: int) -> None:
    doors = Doors(weights="sample", api_key=KEY)
    assert doors.send("/api/pull", json={"model": "blip"}, headers=headers).status_code == status


def test_a_model_that_is_not_here() -> None:
    answer = Doors().send("/api/pull", json={"model": "llava"})
    assert (answer.status_code, content(answer)["error"]["param"]) == (404, "model")


def test_a_runner_elsewhere_fetches_its_own() -> None:
    doors = Doors(weights="sample")
    blip = doors.settings.model("blip").model_copy(update={"url": "http://elsewhere:3000"})
    doors = Doors(weights="sample", blip=blip)
    assert run(client(doors).pull("blip")).status == "success"
    assert doors.proxies["blip"].orders == ["load"]
