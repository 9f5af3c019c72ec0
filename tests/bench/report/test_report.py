"""What was measured is kept, and the documents show what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.report import __main__ as report
from bench.report import documents
from bench.serving.names import LOOKSEE, PLAIN
from bench.serving.rounds import Cell, Measured

CONDITIONS = {"machine": "a machine", "commit": "abc", "rows": 32, "batch_timeout": 0.01}


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(documents, "MEASURED", tmp_path / "measured")
    return tmp_path / "measured"


def results(folder: Path, model: str, rate: float, **conditions: str) -> None:
    one = Measured(model, {**CONDITIONS, **conditions})
    for name, of_it in ((PLAIN, 10.0), (LOOKSEE, rate)):
        one.keep(folder / f"serving/{model}.json", Cell(0, 32, name, 4, 0, 4, of_it, 0.1, 0.2, 0.3))


def test_what_is_not_measured_says_how_to_measure_it(measured: Path) -> None:
    shown = {name: table() for name, table in documents.TABLES.items()}
    assert shown == {
        "bench-gpu": "Not measured yet: `python -m bench.gpu`.",
        "bench-peers": "Not measured yet: `python -m bench.peers`.",
        "bench-published": "Not measured yet: `python -m bench --published`.",
        "bench-scores": "Not measured yet: `make scores`.",
        "bench-serving": "Not measured yet: `make bench`.",
        "bench-skills": "Not measured yet: `python -m bench.skills`.",
    }


def test_the_latest_runs_are_kept_and_shown(measured: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    results(folder, "blip", 35)
    results(folder, "gemma", 25, commit="def")
    (folder / "peers.json").write_text(
        json.dumps({"machine": "another", "length": 280, "absent": ["llama.cpp: no"], "lines": []})
    )
    lines = [{"skill": "flag", "model": "gemma", "spoilt": False, "pairs": [[1.0, 1]] * 10}]
    (folder / "scores.json").write_text(json.dumps({"commit": "fed", "scenes": 20, "lines": lines}))
    assert report.keep(folder, measured) == ["peers", "scores", "serving"]
    text = documents.TABLES["bench-serving"]()
    assert text.startswith("a machine, commit `abc`; at most 32 rows a batch; LitServe waits 0.01 s.")
    assert "`gemma`: a machine, commit `def`." in text
    assert "`blip`: a machine" not in text
    assert f"({documents.PLOT})" in text
    assert "3.50 (3.50 to 3.50)" in text
    assert "Not measured. llama.cpp: no." in documents.TABLES["bench-peers"]()
    scores = documents.TABLES["bench-scores"]()
    assert "20 scenes for each model, half of them spoilt, commit `fed`." in scores
    assert f"({documents.SCORES_PLOT})" in scores
    report.draw(tmp_path)
    assert "<svg" in (tmp_path / documents.PLOT).read_text()
    assert "flag (10)" in (tmp_path / documents.SCORES_PLOT).read_text()


def test_models_that_were_not_measured_again_stay(measured: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    results(folder, "blip", 35)
    report.keep(folder, measured)
    assert report.keep(tmp_path / "none", measured) == []
    assert documents.kept("serving") is not None
