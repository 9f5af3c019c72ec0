"""The published sizes, with a checkpoint of few layers in their place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.published import __main__ as published
from bench.published import tables, worker
from bench.stand_ins import library_models, moondream
from looksee.core.images import decode
from looksee.models.moondream.config import Config
from looksee.models.moondream.crops import tiling
from tests.models.moondream import vectors


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    library_models.write("blip", folder / "blip", layers=1)
    (folder / "blip/complete").touch()
    return folder


def test_every_picture_is_another_and_has_the_size_that_is_told() -> None:
    assert worker.picture(1) == worker.picture(1) != worker.picture(2)
    assert decode(worker.picture(1)).size == worker.SIZE


def test_moondream_sees_it_in_one_crop() -> None:
    pixels = tiling.cut(decode(worker.picture(1)), Config().with_crops(2).vision).pixels
    assert len(pixels) == 2, "the whole, and a crop of the same pixels, which is encoded once"


def test_captions_run_to_their_limit_and_each_number_of_callers_has_its_figures(directory: Path) -> None:
    model = worker.loaded("blip", directory / "blip", device="cpu", dtype="bfloat16")
    told: list[int] = []
    answer = model.answer

    def counted(row: Any) -> Any:
        told.append(len(row.tokens))
        return answer(row)

    model.answer = counted
    found = worker.measure("blip", model, callers=[1, 3], each=2, tokens=4)
    assert [load["callers"] for load in found] == [1, 3]
    assert all(load["rate"] > 0 and load["seconds"] > 0 for load in found)
    assert told == [4] * (1 + 2 + 6)
    assert model.eos_ids == frozenset(), "no token may end a caption"


def test_moondream_is_loaded_and_measured_in_the_same_way(tmp_path: Path) -> None:
    config = vectors.config("mini70")
    moondream.write(tmp_path, replace(config, text=replace(config.text, vocab_size=400)))
    model = worker.loaded("moondream", tmp_path, device="cpu", dtype="bfloat16")
    assert model.config.vision.max_crops == 2
    (load,) = worker.measure("moondream", model, callers=[2], each=1, tokens=2)
    assert load["callers"] == 2
    assert model.reuse() == {"pictures": (0, 3)}, "each picture is encoded"


def test_each_dtype_is_measured_once(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(published, "FILE", tmp_path / "results/published.json")
    arguments = ["blip", "--dtype", "bfloat16", "--directory", str(directory), "--callers", "1", "2", "--tokens", "2"]
    arguments += ["--threads", "1"]
    published.main(arguments)
    (line,) = json.loads((tmp_path / "results/published.json").read_text())["lines"]
    assert (line["model"], line["dtype"]) == ("blip", "bfloat16")
    assert line["peak_gib"] > 0.2
    assert [load["callers"] for load in line["loads"]] == [1, 2]
    monkeypatch.setattr(published, "run", lambda *arguments: pytest.fail("it was measured already"))
    published.main(arguments)
    assert "was measured already" in capsys.readouterr().out
    with pytest.raises(pytest.fail.Exception):
        published.main([*arguments, "--again"])


def test_weights_are_written_where_they_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(library_models, "write", lambda name, folder, dtype: written.append(name))
    assert published.checkpoint("intern_vlm", tmp_path) == tmp_path / "intern_vlm"
    published.checkpoint("intern_vlm", tmp_path)
    assert written == ["intern_vlm"]


def test_the_table_has_two_figures_for_each_number_of_callers() -> None:
    loads = [{"callers": 1, "rate": 0.512, "seconds": 2.04}, {"callers": 8, "rate": 1.5, "seconds": 5.333}]
    line = {"model": "blip", "dtype": "float32", "load_seconds": 1.25, "peak_gib": 2.04, "loads": loads}
    head, _, row = tables.table([line]).split("\n")
    assert "pictures/s, 1 caller | a caption, 1 caller | pictures/s, 8 callers" in head
    assert row == "| `blip` | float32 | 1.2 s | 2.0 GiB | 0.51 | 2.0 s | 1.50 | 5.3 s |"
