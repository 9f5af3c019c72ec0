"""Keep the results of the latest runs for the documents, and draw their plot.

    python -m bench.report && python -m tools.documents        # or: make bench-docs

Results of bench/results that are there replace those in bench/measured, which git keeps; docs/benchmarks.svg and
docs/scores.svg are drawn anew, and the tables of the two pages are printed by `tools.documents`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from bench.machine import MEASURED, RESULTS, ROOT
from bench.report import documents
from bench.scores import tables as scores
from bench.serving import tables
from bench.serving.rounds import Measured
from looksee.models.registry import REGISTRY

_WHOLE = ("published", "peers", "gpu", "skills", "scores")  # kept as they are


def keep(results: Path, measured: Path) -> list[str]:
    """Copy what was measured; the names of it."""
    measured.mkdir(parents=True, exist_ok=True)
    found = []
    for name in _WHOLE:
        if (results / f"{name}.json").exists():
            shutil.copy(results / f"{name}.json", measured / f"{name}.json")
            found.append(name)
    models = [_model(results / "serving" / f"{name}.json") for name in REGISTRY]
    record = {"models": [model for model in models if model]}
    if record["models"]:
        (measured / "serving.json").write_text(json.dumps(record, indent=1) + "\n")
        found.append("serving")
    return found


def draw(docs: Path) -> None:
    """The plots, as far as there is something to draw."""
    record = documents.kept("serving")
    if record is not None:
        (docs / documents.PLOT).write_text(tables.plot(documents.serving_lines(record)))
    record = documents.kept("scores")
    if record is not None:
        (docs / documents.SCORES_PLOT).write_text(scores.drawing(record["lines"]))


def main() -> None:
    found = keep(RESULTS, MEASURED)
    draw(ROOT / "docs")
    print(f"kept in {MEASURED}: {', '.join(found) or 'nothing'}; now `python -m tools.documents`")


def _model(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    record = json.loads(file.read_text())
    measured = Measured.begun(file, record["model"], record["conditions"])
    return {"conditions": measured.conditions, "lines": list(measured.summary())}


if __name__ == "__main__":
    main()
