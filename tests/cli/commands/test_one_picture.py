"""The answer about a single picture, printed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.in_process import FakeService, looksee
from tests.support.files import plain


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "a.png"
    found.write_bytes(plain("PNG", size=(20, 10)))
    return found


def test_a_caption_an_answer_and_places(fake: FakeService, file: Path) -> None:
    assert looksee("caption", file).stdout == f"a red square of {file.stat().st_size}\n"
    assert looksee("caption", file, "--question", "Red?").stdout == "yes, Red?\n"
    assert looksee("detect", file, "--object", "cat").stdout == "cat\t2.0 2.0 10.0 6.0\t0.90\n"
    both = looksee("point", file, "--object", "cat", "--object", "dog")
    assert both.stdout == "cat\t5.0 5.0\t0.50\ndog\t5.0 5.0\t0.50\n"
    assert list(file.parent.iterdir()) == [file], "nothing is written"
    whole = json.loads(looksee("detect", file, "--object", "cat", "--json").stdout)
    assert list(whole) == ["objects"]


def test_what_is_for_folders_alone(fake: FakeService, file: Path) -> None:
    for words in (["-o", "x"], ["--sidecar", ".txt"], ["--no-recursive"], ["--csv", "x.csv"], ["--glob", "*"]):
        done = looksee("caption", file, *words)
        assert done.exit_code == 2
        assert f"{words[0]} is for folders; a.png is a file." in done.stderr
    assert fake.items == []


def test_a_prompt_has_its_fields(fake: FakeService, file: Path) -> None:
    file.with_suffix(".txt").write_text("so far")
    looksee("caption", file, "--prompt", "{name}: {existing}")
    assert [item["prompt"] for item in fake.items] == ["a: so far"]
    done = looksee("caption", file, "--prompt", "{nmae}")
    assert done.exit_code in (1, 2)
    assert "There is no {nmae}" in done.stderr


def test_trouble_is_told(fake: FakeService, file: Path) -> None:
    fake.answer = lambda item, data: {"status": 400, "error": {"code": "x", "message": "It is damaged.", "param": None}}
    done = looksee("caption", file)
    assert (done.exit_code, done.stderr) == (1, "Error: It is damaged.\n")
    file.write_bytes(b"text")
    done = looksee("detect", file, "--object", "cat")
    assert done.exit_code == 1
    assert "is not a picture" in done.stderr
    fake.answer = lambda item, data: {"caption": "", "finish_reason": "empty"}
    file.write_bytes(plain())
    assert looksee("caption", file).stderr == "the model wrote nothing\n"


def test_several_together(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[Mapping[str, Any]] = []

    class Collective:
        async def batch(self, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
            bodies.append(body)
            yield {"index": 0, "id": None, "status": 200, "collective_caption": "two squares", "count": 2}

    @asynccontextmanager
    async def connected(url: str, key: str) -> AsyncIterator[Collective]:
        yield Collective()

    monkeypatch.setattr("looksee.cli.service_client.connected", connected)
    done = looksee("together", file, file, "--prompt", "What changes?", "--model", "gemma")
    assert done.stdout == "two squares\n"
    (item,) = bodies[0]["items"]
    assert (item["task"], len(item["images"])) == ("collective", 2)
    assert (bodies[0]["model"], bodies[0]["prompt"]) == ("gemma", "What changes?")
    assert json.loads(looksee("together", file, "--json").stdout) == {"collective_caption": "two squares", "count": 2}
    done = looksee("together", file, file.parent / "none.png")
    assert done.exit_code == 1
    assert "No such file" in done.stderr
