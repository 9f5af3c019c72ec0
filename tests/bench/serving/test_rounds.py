"""Rounds: whose turn it is, what is kept, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.load import Load
from bench.pictures import Drawing
from bench.serving.names import CACHED, CALLERS, IDEAL, LOOKSEE, PLAIN
from bench.serving.rounds import Cell, Measured, measure

CONDITIONS = {"machine": "one"}


@dataclass
class Contenders:
    """Answer at once, and remember who was asked what."""

    asked: list[tuple[str, Drawing, int]] = field(default_factory=list)
    stop: int = 1000  # after so many measurements
    right: bool = True

    def of(self, *names: str) -> dict[str, Callable[[Drawing, int], Load]]:
        return {name: self._one(name) for name in names}

    def _one(self, name: str) -> Callable[[Drawing, int], Load]:
        def run(drawing: Drawing, callers: int) -> Load:
            if len(self.asked) >= self.stop:
                raise KeyboardInterrupt
            self.asked.append((name, drawing, callers))
            right = drawing.count if self.right else 0
            return Load(drawing.count, 1, callers, 0, right, 0, 1.0, 0.1, 0.2, 0.3)

        return run


def run(file: Path, contenders: Contenders, rounds: int, conditions: Any = CONDITIONS) -> Measured:
    measured = Measured.begun(file, "blip", conditions)
    names = contenders.of(PLAIN, LOOKSEE, IDEAL)
    steps = iter(range(0, 10_000, 6))
    measure(measured, file, names, rounds=rounds, pictures=40, rows=lambda: (next(steps), next(steps) / 12))
    return measured


def test_each_load_is_given_to_all_in_turn_and_another_is_first(tmp_path: Path) -> None:
    contenders = Contenders()
    run(tmp_path / "blip.json", contenders, rounds=2)
    asked = contenders.asked[3:]  # behind the warm-up
    first = [name for name, _, callers in asked if callers == 1]
    assert first == [PLAIN, LOOKSEE, IDEAL, LOOKSEE, IDEAL, PLAIN]
    loads: dict[tuple[int, int], set[str]] = {}
    for name, drawing, callers in asked:
        loads.setdefault((drawing.seed, callers), set()).add(name)
    assert len(loads) == 2 * len(CALLERS)
    assert all(names == {PLAIN, LOOKSEE, IDEAL} for names in loads.values())
    assert {(callers, drawing.count) for _, drawing, callers in asked} == {(1, 8), (8, 20), (32, 40)}


def test_a_run_that_was_stopped_goes_on_with_the_round_that_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "serving/blip.json"
    with pytest.raises(KeyboardInterrupt):
        run(file, Contenders(stop=18), rounds=2)
    assert {cell["round"] for cell in json.loads(file.read_text())["cells"]} == {0, 1}
    contenders = Contenders()
    measured = run(file, contenders, rounds=2)
    assert {drawing.seed // 1000 for _, drawing, _ in contenders.asked[3:]} == {2}  # the second round, as a whole
    keys = [cell.key for cell in measured.cells]
    assert len(keys) == len(set(keys)) == 2 * (3 * len(CALLERS) + 1)
    rest = Contenders()
    run(file, rest, rounds=2)
    assert len(rest.asked) == 3  # the warm-up alone


def test_other_conditions_begin_anew(tmp_path: Path) -> None:
    file = tmp_path / "blip.json"
    run(file, Contenders(), rounds=1)
    assert Measured.begun(file, "blip", CONDITIONS).has(0, (PLAIN, LOOKSEE, IDEAL))
    assert not Measured.begun(file, "blip", {"machine": "other"}).cells


def test_who_answers_nothing_right_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="plain FastAPI answers nothing right about blip"):
        run(tmp_path / "blip.json", Contenders(right=False), rounds=1)


def test_ratios_are_of_one_round_and_their_median_is_told() -> None:
    rates = {PLAIN: (10, 20, 40), LOOKSEE: (30, 50, 80), IDEAL: (100, 100, 100)}
    cells = [
        Cell(number, 32, name, 8, 1, 6, rate, 0.1 * (number + 1), 0.2, 0.3, 4.0 if name == LOOKSEE else None)
        for name, of_rounds in rates.items()
        for number, rate in enumerate(of_rounds)
    ]
    cells.append(Cell(2, 32, CACHED, 8, 0, 8, 900, 0.1, 0.2, 0.3))
    lines = {line["server"]: line for line in Measured("blip", {}, cells).summary()}
    assert list(lines) == [PLAIN, LOOKSEE, IDEAL, CACHED]
    ours = lines[LOOKSEE]
    assert (ours["rate"], ours["ratio"], ours["ratios"]) == (50, 2.5, [2.0, 3.0])
    assert (ours["p50"], ours["rows"], ours["rounds"], ours["errors"], ours["right"]) == (0.2, 4.0, 3, 3, 0.75)
    assert lines[PLAIN]["ratio"] == 1
    assert lines[CACHED]["ratio"] == 22.5
