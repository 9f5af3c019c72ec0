"""Rounds of loads on all contenders in turn, kept as they are measured, so that a run that ends early goes on."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.load import Load
from bench.pictures import Drawing
from bench.serving.contenders import Measure
from bench.serving.names import CACHED, CALLERS, LOOKSEE, PLAIN

_PARTS = {1: 5, 8: 2, 32: 1}  # of the pictures: a lone caller waits for every one
_WARM_UP = 40


@dataclass(frozen=True, slots=True)
class Cell:
    """One load of one contender in one round. `rows` are those of the service's mean decode step."""

    round: int
    callers: int
    server: str
    items: int
    errors: int
    right: int
    rate: float
    p50: float
    p95: float
    p99: float
    rows: float | None = None

    @property
    def key(self) -> tuple[int, int, str]:
        return self.round, self.callers, self.server


@dataclass(slots=True)
class Measured:
    """All cells of one model under one set of conditions, in a file."""

    model: str
    conditions: dict[str, Any]
    cells: list[Cell] = field(default_factory=list)

    @classmethod
    def begun(cls, file: Path, model: str, conditions: dict[str, Any]) -> Measured:
        """What the file has of the same conditions; else nothing."""
        if file.exists():
            record = json.loads(file.read_text())
            if record["conditions"] == conditions:
                return cls(model, conditions, [Cell(**cell) for cell in record["cells"]])
        return cls(model, conditions)

    def keep(self, file: Path, cell: Cell) -> None:
        """Add a cell, and write all to the file."""
        self.cells.append(cell)
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=1) + "\n")
        new.replace(file)

    @property
    def servers(self) -> list[str]:
        """The contenders that have a cell."""
        return list(dict.fromkeys(cell.server for cell in self.cells if cell.server != CACHED)) or [PLAIN]

    def has(self, number: int, servers: Sequence[str]) -> bool:
        """Whether a round is complete."""
        done = {cell.key for cell in self.cells}
        return {(number, callers, server) for callers in CALLERS for server in servers} <= done

    def summary(self) -> Iterator[dict[str, Any]]:
        """A line for each load and contender: medians of the rounds, and of each round's ratio to the plain server."""
        servers = [*self.servers, CACHED]
        plain = {cell.key: cell.rate for cell in self.cells if cell.server == PLAIN}
        for callers in CALLERS:
            for server in servers:
                cells = [cell for cell in self.cells if (cell.callers, cell.server) == (callers, server)]
                if not cells:
                    continue
                base = [plain.get((cell.round, callers, PLAIN)) for cell in cells]
                ratios = [cell.rate / rate for cell, rate in zip(cells, base, strict=True) if rate]
                rows = [cell.rows for cell in cells if cell.rows is not None]
                yield {
                    "model": self.model,
                    "callers": callers,
                    "server": server,
                    "rounds": len(cells),
                    **{name: _median(getattr(cell, name) for cell in cells) for name in ("rate", "p50", "p95", "p99")},
                    "ratio": _median(ratios),
                    "ratios": [min(ratios, default=0.0), max(ratios, default=0.0)],
                    "errors": sum(cell.errors for cell in cells),
                    "right": sum(cell.right for cell in cells) / sum(cell.items for cell in cells),
                    "rows": _median(rows) if rows else None,
                }


def measure(
    measured: Measured,
    file: Path,
    contenders: Mapping[str, Measure],
    *,
    rounds: int,
    pictures: int,
    rows: Callable[[], tuple[float, float]],
) -> None:
    """Measure what is missing. In each round every load is given to all contenders in turn, another one first.

    `rows` tells sum and count of the service's decode steps' rows so far. Raises SystemExit for a contender that
    answers nothing right: its figures would mean nothing.
    """
    names = list(contenders)
    for name in names:
        load = contenders[name](Drawing(0, _WARM_UP), 8)
        if load.right == 0:
            raise SystemExit(
                f"{name} answers nothing right about {measured.model}: {load.errors} of {load.items} failed"
            )
    for number in range(rounds):
        if measured.has(number, names):
            continue
        measured.cells = [cell for cell in measured.cells if cell.round != number]  # a round is measured as a whole
        order = names[number % len(names) :] + names[: number % len(names)]
        for callers in CALLERS:
            drawing = Drawing(1000 * (number + 1) + callers, max(callers, pictures // _PARTS[callers]))
            for name in order:
                before = rows()
                load = contenders[name](drawing, callers)
                after = rows()
                mean = (after[0] - before[0]) / max(1, after[1] - before[1])
                measured.keep(file, _cell(number, name, load, mean if name == LOOKSEE else None))
                if name == LOOKSEE and callers == CALLERS[-1]:
                    measured.keep(file, _cell(number, CACHED, contenders[name](drawing, callers)))


def _cell(number: int, name: str, load: Load, rows: float | None = None) -> Cell:
    return Cell(
        number,
        load.concurrency,
        name,
        load.items,
        load.errors,
        load.right,
        load.rate,
        load.p50,
        load.p95,
        load.p99,
        rows,
    )


def _median(values: Any) -> float:
    found = list(values)
    return statistics.median(found) if found else 0.0
