"""The table and the plot of what was measured of the service and the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.serving.names import BENTOML, CACHED, CALLERS, IDEAL, LITSERVE, LOOKSEE, PLAIN, SERVERS
from bench.serving.plot import Bars, bars

Line = Mapping[str, Any]  # of `Measured.summary`


def table(lines: Sequence[Line]) -> str:
    """Captions a second, and how many times those of the plain server; of the ratio also the rounds' extremes."""
    found = {(line["model"], line["callers"], line["server"]): line for line in lines}
    head = ["model", "at a time", *(f"{server}, captions/s" for server in SERVERS), "Looksee : plain"]
    head += [
        "LitServe : plain",
        "BentoML : plain",
        "Looksee : ideal",
        "p50 ms, plain",
        "LitServe",
        "BentoML",
        "Looksee",
    ]
    head += ["rows a step", "from cache", "exact, at least", "failed"]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for model in dict.fromkeys(line["model"] for line in lines):
        for callers in CALLERS:
            cells = {server: found.get((model, callers, server)) for server in (*SERVERS, CACHED)}
            if cells[LOOKSEE] is None or cells[PLAIN] is None:
                continue
            rows.append(f"| `{model}` | {callers} | {' | '.join(_row(cells))} |")
    return "\n".join(rows)


def plot(lines: Sequence[Line], callers: int = CALLERS[-1]) -> str:
    """Captions a second of all, as SVG."""
    models = list(dict.fromkeys(line["model"] for line in lines))
    found = {(line["model"], line["server"]): line["rate"] for line in lines if line["callers"] == callers}
    groups = {model: [found.get((model, server)) for server in SERVERS] for model in models}
    return bars(Bars(f"Captions a second, {callers} requests at a time", list(SERVERS), groups))


def skills(rows: Sequence[Line]) -> str:
    """A line a load, as `bench.skills` writes them."""
    head = ["at a time", "server", "answers/s", "ratio", "p50 ms", "p99 ms", "rows a step", "exact", "failed"]
    found = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [str(row["callers"]), row["server"], f"{row['rate']:.0f}", f"{row['ratio']:.2f}"]
        cells += [f"{row['p50'] * 1000:.0f}", f"{row['p99'] * 1000:.0f}"]
        cells += ["" if row["rows"] is None else f"{row['rows']:.1f}", f"{row['right']:.1%}", str(row["errors"])]
        found.append(f"| {' | '.join(cells)} |")
    return "\n".join(found)


def _row(cells: Mapping[str, Line | None]) -> list[str]:
    known = [cell for server, cell in cells.items() if cell is not None and server != CACHED]
    ours, ideal, cached = cells[LOOKSEE], cells[IDEAL], cells[CACHED]
    assert ours is not None
    return [
        *(_of(cells[server], lambda cell: f"{cell['rate']:.0f}") for server in SERVERS),
        f"{ours['ratio']:.2f} ({ours['ratios'][0]:.2f} to {ours['ratios'][1]:.2f})",
        *(_of(cells[server], lambda cell: f"{cell['ratio']:.2f}") for server in (LITSERVE, BENTOML)),
        _of(ideal, lambda cell: f"{ours['rate'] / cell['rate']:.2f}"),
        *(_of(cells[server], lambda cell: f"{cell['p50'] * 1000:.0f}") for server in SERVERS[:4]),
        f"{ours['rows']:.1f}" if ours["rows"] is not None else "",
        _of(cached, lambda cell: f"{cell['rate']:.0f}"),
        f"{min(cell['right'] for cell in known):.1%}",
        str(sum(cell["errors"] for cell in known)),
    ]


def _of(cell: Line | None, shown: Any) -> str:
    text: str = "-" if cell is None else shown(cell)
    return text
