"""The card of sample weights: how they were made and what they were measured to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_CARD = """# Sample weights: {model}

Tiny weights in the published architecture and layout of `{model}`. They know drawn scenes of coloured shapes
(`samples/world/scenes.py`) and nothing else: they are for trying the service out and for its tests.

{made}
- `model.safetensors` has {megabytes:.1f} MB.
- Apache-2.0, as the project.

## Accuracy

Exact match of the normalised text (of boxes those that overlap a thing with an IoU of at least 0.5, of points those in
the right thing and as many as there are) on {scenes} fresh scenes, {how} ({date}):

| task | at once | right |
|---|---|---|
{accuracy}

## Curve

Losses and teacher-forced exact answers of the last batch before each row (one thing at first, then two, then three; in
every second scene the order is hard to see).

{curve}
"""


def write(
    directory: Path,
    model: str,
    scenes: int,
    accuracy: Mapping[tuple[str, int], float],
    *,
    how: str = "through the running service",
) -> Path:
    """Write `README.md` beside the weights; `accuracy` by task and concurrency, in parts of one, and `how` measured."""
    training = json.loads((directory / "training.json").read_text())
    curve = training["curve"]
    rows = [f"| {task} | {concurrency} | {value:.1%} |" for (task, concurrency), value in accuracy.items()]
    names = list(curve[-1])
    points = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    points += [f"| {' | '.join(f'{point.get(name, 0):.4g}' for name in names)} |" for point in curve]
    card = directory / "README.md"
    card.write_text(
        _CARD.format(
            model=model,
            made="\n".join(_made(model, training)),
            megabytes=(directory / "model.safetensors").stat().st_size / 1e6,
            scenes=scenes,
            how=how,
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            accuracy="\n".join(rows),
            curve="\n".join(points),
        )
    )
    return card


def _made(model: str, training: Mapping[str, Any]) -> list[str]:
    """The command, or one behind the other those that went on from the weights of the last."""
    before = training.get("before")
    options = "--seed {seed} --steps {steps} --batch-size {batch_size} --threads {threads}".format_map(training)
    stopped = f" stopped at step {training['stopped']}," if "stopped" in training else ""
    minutes = training["curve"][-1]["seconds"] / 60
    how = f"{stopped} in {minutes:.0f} minutes on two CPU cores that did other work beside:\n"
    if before is None:
        return [f"- Made by this command,{how}  `python -m samples.training {model} {options}`"]
    then = f"- Then with the exercises of that time,{how}"
    return [*_made(model, before), f"{then}  `python -m samples.training {model} --further {options}`"]
