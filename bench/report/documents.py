"""The tables of docs/benchmarks.md, from the results that are kept in bench/measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bench.gpu import tables as gpu
from bench.machine import MEASURED
from bench.peers import tables as peers
from bench.published import tables as published
from bench.scores import tables as scores
from bench.serving import tables as serving

PLOT, SCORES_PLOT = "benchmarks.svg", "scores.svg"  # in docs/


def kept(name: str) -> dict[str, Any] | None:
    """What is kept of a benchmark; None if it has not been measured."""
    file = MEASURED / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def serving_lines(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of all models."""
    return [line for model in record["models"] for line in model["lines"]]


def _serving() -> str:
    record = kept("serving")
    if record is None:
        return _missing("make bench")
    first = record["models"][0]["conditions"]
    where = f"{_machine(first)}; at most {first['rows']} rows a batch; LitServe waits {first['batch_timeout']:g} s."
    others = [
        f"`{model['lines'][0]['model']}`: {_machine(model['conditions'])}."
        for model in record["models"]
        if _machine(model["conditions"]) != _machine(first)
    ]
    lines = serving_lines(record)
    return "\n\n".join([" ".join([where, *others]), f"![Captions a second]({PLOT})", serving.table(lines)])


def _published() -> str:
    record = kept("published")
    if record is None:
        return _missing("python -m bench --published")
    about = f"{_machine(record)}; captions of {record['tokens']} tokens."
    return f"{about}\n\n{published.table(record['lines'])}"


def _peers() -> str:
    record = kept("peers")
    if record is None:
        return _missing("python -m bench.peers")
    absent = "".join(f"\n\nNot measured. {line}." for line in record["absent"])
    return f"{_machine(record)}; prompts of {record['length']} tokens.\n\n{peers.table(record['lines'])}{absent}"


def _skills() -> str:
    record = kept("skills")
    if record is None:
        return _missing("python -m bench.skills")
    return f"{_machine(record)}.\n\n{serving.skills(record['rows'])}"


def _gpu() -> str:
    record = kept("gpu")
    return (
        _missing("python -m bench.gpu") if record is None else f"{record['machine']}\n\n{gpu.tables(record['models'])}"
    )


def _scores() -> str:
    record = kept("scores")
    if record is None:
        return _missing("make scores")
    about = f"{record['scenes']} scenes for each model, half of them spoilt, commit `{record['commit']}`."
    curve, lines = f"![How often a score is right]({SCORES_PLOT})", record["lines"]
    return "\n\n".join([about, curve, scores.by_part(lines), scores.by_model(lines)])


def _machine(record: dict[str, Any]) -> str:
    commit = f", commit `{record['commit']}`" if record.get("commit") else ""
    return f"{record['machine']}{commit}"


def _missing(command: str) -> str:
    return f"Not measured yet: `{command}`."


TABLES: dict[str, Callable[[], str]] = {
    "bench-gpu": _gpu,
    "bench-peers": _peers,
    "bench-published": _published,
    "bench-scores": _scores,
    "bench-serving": _serving,
    "bench-skills": _skills,
}
