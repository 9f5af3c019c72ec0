"""A service that answers in this process, for the commands about folders."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from looksee.cli import folder
from looksee.cli.main import main

Answer = Callable[[Mapping[str, Any], bytes], Mapping[str, Any]]
PLACES = {
    "detect": {"objects": [{"x_min": 0.1, "y_min": 0.2, "x_max": 0.5, "y_max": 0.6, "confidence": 0.9}]},
    "point": {"points": [{"x": 0.25, "y": 0.5, "confidence": 0.5}]},
}


def usual(item: Mapping[str, Any], data: bytes) -> Mapping[str, Any]:
    """A caption that tells the length of the file; one box or point of each thing."""
    task = item.get("task", "caption")
    if task in PLACES:
        if "objects" in item:
            return {"results": [{"object": name, **PLACES[task]} for name in item["objects"]]}
        return PLACES[task]
    if task == "query":
        return {"answer": f"yes, {item['question']}", "finish_reason": "stop"}
    return {"caption": f"a red square of {len(data)}", "finish_reason": "stop", "model": "moondream"}


class FakeService:
    """What was asked is in `items`, each with what its batch said for all."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.answer: Answer = usual
        self.url = ""

    async def batch(self, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        sent = json.loads(json.dumps(body).encode())
        for index, own in enumerate(sent.pop("items")):
            item = {**sent, **own}
            data = base64.b64decode(item.pop("image").partition(",")[2])
            self.items.append(item)
            answer = dict(self.answer(item, data))
            yield {"index": index, "id": None, "status": answer.pop("status", 200), **answer}


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    """A service wherever one is asked for."""
    running = FakeService()

    @asynccontextmanager
    async def connected(url: str, key: str) -> AsyncIterator[FakeService]:
        yield running

    monkeypatch.setattr(folder, "connected", connected)
    monkeypatch.setattr("looksee.cli.service_client.connected", connected)
    monkeypatch.setattr("looksee.cli.commands.one_picture.connected", connected)
    yield running


def looksee(*words: object, given: bytes | None = None) -> Result:
    """The command, in this process."""
    done = CliRunner().invoke(main, [*map(str, words)], input=given)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []
