"""A service that goes away or has no room in the middle of a folder: no picture is lost, none is answered twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from looksee.cli import folder
from looksee.cli.service_client import ServiceAway
from tests.cli.in_process import lines, looksee
from tests.support.files import plain

COUNT = 70  # more than a request takes


class Restarting:
    """Breaks off in the middle of an answer, is not there for some requests, and comes back."""

    def __init__(self, *, breaks_after: int, away: int) -> None:
        self.left, self.away = breaks_after, away
        self.answered: Counter[str] = Counter()
        self.passing: dict[str, list[str]] = {}

    async def batch(self, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        if self.left == 0 and self.away:
            self.away -= 1
            raise ServiceAway("There is no service.")
        for index, item in enumerate(body["items"]):
            if self.left == 0 and self.away:
                raise ServiceAway("It broke off its answer.")
            self.left = max(self.left - 1, 0)
            name = item["prompt"]
            if codes := self.passing.get(name):
                error = {"code": codes.pop(0), "message": "Not now.", "param": None}
                yield {"index": index, "id": None, "status": 503, "error": error}
                continue
            self.answered[name] += 1
            yield {"index": index, "id": None, "status": 200, "caption": f"of {name}"}
            await asyncio.sleep(0)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(COUNT):
        (tmp_path / f"{number}.png").write_bytes(plain())
    return tmp_path


def run(service: Restarting, photos: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    @asynccontextmanager
    async def connected(url: str, key: str) -> AsyncIterator[Restarting]:
        yield service

    async def at_once(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    waits: list[float] = []
    sleep = asyncio.sleep
    monkeypatch.setattr(folder, "connected", connected)
    monkeypatch.setattr("looksee.cli.folder.asyncio.sleep", at_once)
    done = looksee("caption", photos, "--prompt", "{name}", "--json", *words)
    return done, waits


def test_a_restart_in_the_middle_loses_and_repeats_none(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Restarting(breaks_after=30, away=5)
    done, waits = run(service, photos, monkeypatch)
    assert done.exit_code == 0, done.stderr
    assert set(service.answered.values()) == {1}
    assert sorted(line["file"] for line in lines(photos / "captions.jsonl")) == sorted(
        f"{number}.png" for number in range(COUNT)
    )
    assert done.stderr.count("Waiting for it.") == 1
    assert [seconds for seconds in waits if seconds][:2] == [0.5, 1.0]
    assert json.loads(done.stdout)["answered"] == COUNT


def test_patience_ends(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Restarting(breaks_after=30, away=10**6)
    done, _ = run(service, photos, monkeypatch, "--patience", "0.2")
    assert done.exit_code == 1
    assert "Error: There is no service." in done.stderr
    assert len(lines(photos / "captions.jsonl")) == 30
    service.away = 0
    done, _ = run(service, photos, monkeypatch)
    assert done.exit_code == 0
    assert len(lines(photos / "captions.jsonl")) == COUNT
    assert set(service.answered.values()) == {1}


def test_who_never_was_there_is_not_waited_for(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, waits = run(Restarting(breaks_after=0, away=10**6), photos, monkeypatch)
    assert done.exit_code == 1
    assert waits == []


def test_trouble_that_passes_is_asked_again_alone_and_not_for_ever(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Restarting(breaks_after=10**6, away=0)
    service.passing = {
        "3": ["service_stopping", "runner_failed"],
        "5": ["overloaded"] * 9,
        "7": ["corrupt_image"],
    }
    done, _ = run(service, photos, monkeypatch)
    assert done.exit_code == 1
    failed = json.loads(done.stdout)["failed"]
    assert [(one["file"], one["error"]) for one in failed] == [("7.png", "Not now."), ("5.png", "Not now.")]
    assert len(service.passing["5"]) == 6, "three tries"
    assert len(lines(photos / "captions.jsonl")) == COUNT - 2
    assert set(service.answered.values()) == {1}


def test_a_break_behind_trouble_that_passes_loses_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Restarting(breaks_after=30, away=1)
    service.passing = {str(number): ["overloaded"] for number in range(0, COUNT, 3)}
    done, _ = run(service, photos, monkeypatch)
    assert done.exit_code == 0, done.stderr
    assert set(service.answered.values()) == {1}
    assert len(service.answered) == len(lines(photos / "captions.jsonl")) == COUNT
