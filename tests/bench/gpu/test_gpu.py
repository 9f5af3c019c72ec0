"""The models on a device, with few layers on a CPU: all that is measured is there, and needs few packages."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.gpu import __main__ as gpu
from bench.gpu import decoding, limits, measuring, subjects, tables
from bench.gpu.limits import DeviceLimits
from bench.gpu.measuring import ModelFigures, StepFigures
from looksee.models.core.graphs import NoGraphs, Run
from looksee.models.core.step_runner import StepRunner
from tests.support.serving import ROOT

CPU = torch.device("cpu")
ALLOWED = {"torch", "transformers", "safetensors", "PIL", "numpy"}


@pytest.fixture(scope="module")
def subject() -> subjects.BenchSubject:
    return subjects.build("intern_vlm", device=CPU, dtype=torch.float32, layers=1)


@pytest.mark.parametrize("name", ["blip", "moondream"])
def test_the_command_measures_a_model(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--models", name, "--layers", "1", "--device", "cpu", "--rows", "1", "2", "--steps", "3"]
    assert gpu.main([*arguments, "--rounds", "1", "--results", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "gpu.json").read_text())
    (model,) = record["models"]
    assert (model["name"], model["prompt"]) == (name, {"blip": 1, "moondream": 730}[name])
    assert [one["rows"] for one in model["encode"]] == [one["rows"] for one in model["prefill"]] == [1, 2]
    assert [(one["rows"], one["way"]) for one in model["steps"]] == [
        (rows, way) for rows in (1, 2) for way in ("eager", "static", "ahead")
    ]
    assert all(one["of_limit"] > 0 for part in ("encode", "prefill", "steps") for one in model[part])
    assert "1 layers only" in record["machine"]
    shown = tables.tables(record["models"])
    assert shown in (tmp_path / "gpu.md").read_text()
    assert shown in capsys.readouterr().out
    assert shown.count(f"| `{name}` |") == 2 + 6


def test_each_model_is_built_with_its_published_widths() -> None:
    found = {}
    for name in ("blip2", "gemma"):  # the others are measured above
        meta = subjects.build(name, device=torch.device("meta"), dtype=torch.bfloat16, layers=2)
        found[name] = meta.decoder.shape.heads, meta.decoder.shape.head_width, meta.decoder.shape.layers, meta.prompt
    assert found == {"blip2": (32, 80, 2, 33), "gemma": (4, 256, 2, 276)}


def test_steps_say_the_same_in_every_way_and_rows_differ(subject: subjects.BenchSubject) -> None:
    ways = decoding.ways(subject, CPU)
    assert list(ways) == ["eager", "static", "ahead"]
    one, other, ahead = (decoding.decode(subject, way, 3, 20, 6) for way in ways.values())
    assert decoding.same(one, other) == decoding.same(one, ahead) == 1
    assert len(ahead.tokens) == 6
    assert len({tuple(row) for row in zip(*one.tokens, strict=True)}) == 3
    other.tokens[-1] = [token + (row == 0) for row, token in enumerate(other.tokens[-1])]
    assert decoding.same(one, other) == pytest.approx(2 / 3)


def test_a_step_reads_each_weight_once_and_the_rows_keys_and_values(subject: subjects.BenchSubject) -> None:
    decoder: Any = subject.decoder
    parts = [decoder.blocks, decoder.norm, decoder.head]
    weights = sum(one.nbytes for part in parts for one in part.parameters())
    assert limits.weight_bytes(decoder) == weights
    kept = 2 * 1 * 2 * 64 * 4  # keys and values of a layer's 2 heads, 64 wide, float32
    assert limits.step_bytes(decoder, 3, 10, torch.float32) == weights + 3 * 10 * kept


def test_a_head_that_is_the_table_too_is_read() -> None:
    gemma = subjects.build("gemma", device=torch.device("meta"), dtype=torch.bfloat16, layers=2)
    assert limits.weight_bytes(gemma.decoder) > 2 * 262208 * 2560


def test_operations_are_those_of_products() -> None:
    one, other = torch.ones(3, 5), torch.ones(5, 7)
    assert limits.operations(lambda: one @ other) == 2 * 3 * 5 * 7


class ForgetfulGraphs(NoGraphs):
    """A capture that replays something else."""

    def capture(self, run: Run) -> Run:
        return lambda: None


def test_a_graph_that_says_something_else_ends_the_command(
    subject: subjects.BenchSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = decoding.ways

    def captured(one: subjects.BenchSubject, device: torch.device) -> Any:
        wrong = StepRunner(one.decoder, device=device, dtype=one.cache_dtype, graphs=ForgetfulGraphs())
        return {**made(one, device), "captured": decoding.Way(wrong)}

    monkeypatch.setattr(decoding, "ways", captured)
    monkeypatch.setattr(subjects, "build", lambda *arguments, **options: subject)
    monkeypatch.setattr(limits, "measure", lambda device, dtype: DeviceLimits(1e10, 1e11))
    arguments = ["--models", "intern_vlm", "--device", "cpu", "--rows", "2", "--steps", "3", "--rounds", "1"]
    assert gpu.main([*arguments, "--results", str(tmp_path)]) == 1


def test_only_captured_steps_must_be_equal() -> None:
    figures = ModelFigures("blip", 1, 1, 1, steps=[StepFigures(1, "static", 1.0, 1.0, 0.5, 0.5)])
    assert not figures.unequal
    figures.steps.append(StepFigures(1, "captured", 1.0, 1.0, 0.5, 0.5))
    assert figures.unequal
    assert measuring.record([figures])[0]["steps"][1]["same"] == 0.5


def imported(tree: ast.AST) -> Iterator[str]:
    """What a module imports when it is imported: not in functions, nor for type checking alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield from imported(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(name: str) -> Iterator[Path]:
    """A module's file, and those of the packages that it is in."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:end])
        yield from (file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file())


def test_it_needs_few_packages() -> None:
    waiting, seen, foreign = ["bench.gpu.__main__"], set[Path](), set[str]()
    while waiting:
        for file in files_of(waiting.pop()):
            if file in seen:
                continue
            seen.add(file)
            for name in imported(ast.parse(file.read_text())):
                top = name.partition(".")[0]
                if (ROOT / top).is_dir():
                    waiting.append(name)
                else:
                    foreign.add(top)
    assert len(seen) > 20
    assert {"torch", "transformers"} <= foreign
    assert foreign - sys.stdlib_module_names <= ALLOWED
