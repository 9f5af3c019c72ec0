"""What is compared: each contender answers a load of pictures, and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import aiohttp

from bench.load import Load, Send, run
from bench.pictures import Drawing, Encoded
from bench.serving import functions
from bench.serving.names import BENTOML, IDEAL, LITSERVE, LOOKSEE, PLAIN
from bench.serving.processes import running, server

Measure = Callable[[Drawing, int], Load]  # pictures, and how many at a time


@dataclass(frozen=True, slots=True)
class Conditions:
    """The same for all: `threads` of torch, rows of a batch at most, and what LitServe waits for company, seconds."""

    threads: int
    rows: int
    batch_timeout: float


def absent() -> dict[str, str]:
    """Contenders that cannot run here, and why."""
    if find_spec("litserve") is None:
        return {LITSERVE: "litserve is not installed (pip install -e '.[bench]')"}
    return {}


@contextlib.contextmanager
def all_of(model: str, our_url: str, conditions: Conditions) -> Iterator[dict[str, Measure]]:
    """Every contender that can run here, for one model, by its name; the service is running at `our_url` already."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Measure] = {}
        threads = ["--threads", str(conditions.threads)]
        url = stack.enter_context(server("bench.serving.plain", model, *threads))
        found[PLAIN] = _asking(PLAIN, f"{url}/caption", _image, _caption)
        if LITSERVE not in absent():
            options = ["--rows", str(conditions.rows), "--batch-timeout", str(conditions.batch_timeout)]
            url = stack.enter_context(server("bench.serving.lit", model, *threads, *options, path="/health"))
            found[LITSERVE] = _asking(LITSERVE, f"{url}/caption", _image, _caption)
        url = stack.enter_context(_bentoml(model, conditions))
        found[BENTOML] = _asking(BENTOML, f"{url}/caption", lambda image: {"images": [image]}, lambda body: body[0])
        found[IDEAL] = stack.enter_context(_ideal(model, conditions))
        found[LOOKSEE] = _asking(
            LOOKSEE, f"{our_url}/caption", lambda image: {"image": image, "model": model}, _caption
        )
        yield found


def mean_rows(url: str, model: str) -> tuple[float, float]:
    """Sum and count of the service's decode steps' rows so far."""
    text = urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()
    pattern = rf'^looksee_batch_rows_(sum|count)\{{[^}}]*model="{model}"[^}}]*\}} (\S+)$'
    found = dict(re.findall(pattern, text, re.MULTILINE))
    return float(found.get("sum", 0)), float(found.get("count", 0))


def _image(image: str) -> dict[str, Any]:
    return {"image": image}


def _caption(body: Any) -> str:
    caption: str = body["caption"]
    return caption


def _asking(name: str, url: str, asked: Callable[[str], dict[str, Any]], said: Callable[[Any], str]) -> Measure:
    """Over HTTP, a picture a request, as base64 in JSON."""

    async def send(session: aiohttp.ClientSession, group: Sequence[Encoded]) -> tuple[int, int]:
        right = cached = 0
        for image, caption in group:
            # As a file: aiohttp would write a large body in one piece.
            sent = io.BytesIO(json.dumps(asked(image)).encode())
            async with session.post(url, data=sent, headers={"Content-Type": "application/json"}) as response:
                response.raise_for_status()
                body = await response.json()
            right += said(body) == caption
            cached += isinstance(body, dict) and bool(body.get("cache"))
        return right, cached

    sender: Send[Encoded] = send
    return lambda drawing, callers: asyncio.run(run(drawing.encoded(), sender, callers, name))


@contextlib.contextmanager
def _bentoml(model: str, conditions: Conditions) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bench-bentoml-") as home:
        environment = {
            functions.MODEL: model,
            functions.THREADS: str(conditions.threads),
            functions.ROWS: str(conditions.rows),
            "BENTOML_HOME": home,  # two services on one host must not share one
            "BENTOML_DO_NOT_TRACK": "True",
        }
        arguments = ["bentoml", "serve", "bench.serving.bento:BatchedBento", "--host", "127.0.0.1"]
        with server(*arguments, path="/readyz", environment=environment) as url:
            yield url


@contextlib.contextmanager
def _ideal(model: str, conditions: Conditions) -> Iterator[Measure]:
    command = [sys.executable, "-m", "bench.serving.ideal", model, "--threads", str(conditions.threads)]
    with running(command, piped=True) as process:
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None
        if told.readline().strip() != "ready":
            raise SystemExit("a process of the benchmark did not start: ideal batches")

        def measure(drawing: Drawing, callers: int) -> Load:
            rows = min(callers, conditions.rows)
            asked.write(json.dumps({"seed": drawing.seed, "count": drawing.count, "rows": rows}) + "\n")
            asked.flush()
            return Load(each=1, concurrency=callers, errors=0, cached=0, **json.loads(told.readline()))

        yield measure
