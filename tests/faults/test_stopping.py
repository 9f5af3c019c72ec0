"""SIGTERM under load: what was accepted is answered, nothing more is taken, runners end last, a setting bounds it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.faults.callers import ROUTE, Seen, captions_of, drawn, until_answered, wrong
from tests.faults.recording import Recorder
from tests.support import pictures
from tests.support.serving import PATIENCE, Service, serve

SERVE = (sys.executable, "-m", "bentoml", "serve", "service:Looksee", "--port", "{port}")
AS_FIRST = ("unshare", "--pid", "--fork", "--mount-proc")  # as process 1 of a container, which has no default handlers


def may_be_first() -> bool:
    """Whether this machine lets us start a process as the first one of its own."""
    return shutil.which("unshare") is not None and subprocess.run([*AS_FIRST, "true"], check=False).returncode == 0


@pytest.fixture
def first() -> Iterator[tuple[Service, psutil.Process]]:
    """A service as it runs in a container, and its supervisor."""
    words = (*AS_FIRST, *SERVE) if may_be_first() else SERVE
    with serve(*words, models=["blip", "moondream"], redis_url="", MODEL_CAPACITY="0", BENTOML_CONTAINERIZED="1") as it:
        leader = psutil.Process(it.process.pid)
        yield it, leader.children()[0] if words[0] == "unshare" else leader


async def accepted(service: Service, count: int) -> None:
    """Wait until so many requests are being answered."""

    def under_way() -> float:
        paths = (ROUTE, "/v1/caption", "/v1/batch")
        return sum(service.metric("bentoml_service_request_in_progress", endpoint=path) for path in paths)

    began = time.monotonic()
    while (found := await asyncio.to_thread(under_way)) < count:
        assert time.monotonic() - began < PATIENCE, found
        await asyncio.sleep(0.05)


def picture(name: str) -> str:
    return f"data:image/png;base64,{base64.b64encode(pictures.scene(name, count=6)[0]).decode()}"


def test_sigterm_under_load_answers_what_was_accepted(first: tuple[Service, psutil.Process], record: Recorder) -> None:
    service, supervisor = first
    until_answered(service)
    until_answered(service, model="moondream")
    runners = [*service.processes("Moondream"), *service.processes("Blip")]
    ended: list[str] = []

    async def stream(client: httpx.AsyncClient) -> str:
        body = {"image_url": picture("streamed"), "stream": True}
        async with client.stream("POST", "/v1/caption", json=body) as answer:
            return "".join([line async for line in answer.aiter_lines()])

    async def batch(client: httpx.AsyncClient) -> list[dict[str, object]]:
        items = [{"image": picture(f"item-{number}")} for number in range(20)]
        answer = await client.post("/v1/batch", json={"model": "moondream", "items": items})
        return [json.loads(line) for line in answer.text.splitlines()]

    async def told(client: httpx.AsyncClient) -> None:
        """What new requests are told until there is nobody who tells them anything."""
        for path in ("/readyz", "/health", ROUTE):
            files = {"images": ("a.png", drawn("late", 1)[0][0])}
            answer = await (client.post(path, files=files) if path == ROUTE else client.get(path))
            assert answer.headers["connection"] == "close"
            ended.append(f"{path} {answer.status_code}")
            if answer.status_code == 503:
                assert answer.json()["error"]["code"] == "service_stopping"
                assert int(answer.headers["retry-after"]) > 0

    async def scenario() -> tuple[Seen, str, list[dict[str, object]], float]:
        for runner in runners:  # so that all of it is in flight while new requests are tried
            runner.suspend()
        async with httpx.AsyncClient(base_url=service.url, timeout=PATIENCE) as client:
            working = asyncio.gather(
                captions_of(service, drawn("accepted", 60), concurrency=60), stream(client), batch(client)
            )
            await accepted(service, 62)
            supervisor.send_signal(signal.SIGTERM)
            began = time.monotonic()
            async with httpx.AsyncClient(base_url=service.url, timeout=PATIENCE) as other:
                while (await other.get("/readyz")).status_code == 200:
                    assert time.monotonic() - began < PATIENCE
                await told(other)
            for runner in runners:
                runner.resume()
            seen, text, lines = await working
            await asyncio.to_thread(service.process.wait, PATIENCE)
            return seen, text, lines, time.monotonic() - began

    seen, text, lines, seconds = asyncio.run(scenario())
    assert seen.ends == {"200": 60}
    assert len(seen.unlike) <= 2, "the weights themselves err now and then; nobody is left to ask again"
    assert '"completed":true' in text.replace(" ", "")
    assert lines[-1] == {"done": True, "succeeded": 20, "failed": 0}
    assert ended == ["/readyz 503", "/health 200", f"{ROUTE} 503"]
    assert service.process.returncode == 0
    record("SIGTERM under load, as process 1 of a container", seen, again=None, wrong=[])
    record("SIGTERM: new requests meanwhile", "503 `service_stopping`, `Retry-After`, `Connection: close`", wrong=[])
    assert seconds < PATIENCE


@pytest.fixture
def brief() -> Iterator[Service]:
    """A service that gives its requests two seconds once it is told to end."""
    with serve(redis_url="", LOOKSEE_DRAIN_SECONDS="2") as running:
        yield running


def test_a_setting_bounds_it_and_a_second_signal_ends_at_once(brief: Service, record: Recorder) -> None:
    """The runner hangs: its callers are told to come again, and it is not waited for when the second signal comes."""
    until_answered(brief)
    everybody = [psutil.Process(brief.process.pid), *brief.processes("Looksee"), *brief.processes("Blip")]
    everybody[-1].suspend()

    async def scenario() -> tuple[Seen, float]:
        load = asyncio.create_task(captions_of(brief, drawn("hanging", 12), concurrency=12))
        await accepted(brief, 12)
        os.kill(brief.process.pid, signal.SIGTERM)
        began = time.monotonic()
        return await load, time.monotonic() - began

    seen, seconds = asyncio.run(scenario())
    assert seen.ends == {"503 service_stopping": 12}
    assert seconds >= 2
    os.kill(brief.process.pid, signal.SIGTERM)
    brief.process.wait(PATIENCE)
    psutil.wait_procs(everybody, timeout=PATIENCE)
    assert not [one for one in everybody if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    record("SIGTERM, a runner hangs, 2 s allowed", seen, wrong=wrong(brief, seen))
