"""The command: what was measured is not measured again, and the published sizes have options of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench.load import Load
from bench.pictures import Drawing
from bench.published import __main__ as published
from bench.serving import contenders
from bench.serving.names import LOOKSEE, PLAIN


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was started, in stand-ins for servers that answer at once."""
    names: list[str] = []

    @contextmanager
    def server(*arguments: str) -> Iterator[str]:
        names.append(arguments[0])
        yield "http://nowhere"

    @contextmanager
    def all_of(model: str, our_url: str, conditions: Any) -> Iterator[dict[str, Any]]:
        names.append(model)
        yield {PLAIN: answered, LOOKSEE: answered}

    def answered(drawing: Drawing, callers: int) -> Load:
        return Load(drawing.count, 1, callers, 0, drawing.count, 0, 1.0, 0.1, 0.2, 0.3)

    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "server", server)
    monkeypatch.setattr(contenders, "all_of", all_of)
    monkeypatch.setattr(contenders, "mean_rows", lambda url, model: (0.0, 0.0))
    monkeypatch.setenv("LOOKSEE_MOONDREAM_PREFIX_CACHE_BYTES", "0")  # which the command sets
    return names


def test_a_model_that_was_measured_is_not_measured_again(
    started: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["blip", "gemma", "--rounds", "1"])
    assert started == ["deploy.local", "blip", "gemma"]
    assert (tmp_path / "serving.md").read_text().count("| 32 |") == 2
    started.clear()
    command.main(["blip", "gemma", "--rounds", "1"])
    assert started == []
    assert capsys.readouterr().out.count("were measured already") == 2
    command.main(["blip", "gemma", "--rounds", "2"])
    assert started == ["deploy.local", "blip", "gemma"]
    started.clear()
    command.main(["gemma", "--rounds", "2", "--again"])
    assert started == ["deploy.local", "gemma"]


def test_other_conditions_are_measured_anew(started: list[str]) -> None:
    command.main(["blip", "--rounds", "1"])
    started.clear()
    command.main(["blip", "--rounds", "1", "--pictures", "10"])
    assert started == ["deploy.local", "blip"]


def test_the_published_sizes_get_the_other_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(published, "main", given.append)
    command.main(["--published", "blip", "--dtype", "bfloat16", "--again"])
    assert given == [["blip", "--dtype", "bfloat16", "--again"]]
