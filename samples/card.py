"""The card of sample weights: how they were made and what they were measured to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_CARD = """# Sample weights: {model}

Tiny weights in the published architecture and layout of `{model}`. They know drawn scenes of coloured shapes
(`samples/world/scenes.py`) and nothing else: they are for trying the service out and for its tests.

- Made by this command, in {minutes:.0f} minutes on two CPU cores that did other work beside:
  `python -m samples.training {model} --seed {seed} --steps {steps} --batch-size {batch_size} --threads {threads}`
- `model.safetensors` has {megabytes:.1f} MB.
- Apache-2.0, as the project.

## Accuracy

Exact match of the normalised text (of boxes those that overlap a thing with an IoU of at least 0.5, of points those in
the right thing and as many as there are) on {scenes} fresh scenes, through the running service ({date}):

| task | at once | right |
|---|---|---|
{accuracy}

## Curve

Losses and teacher-forced exact answers of the last batch before each row (one thing at first, then two, then three; in
every second scene the order is hard to see).

{curve}
"""


def write(directory: Path, model: str, scenes: int, accuracy: Mapping[tuple[str, int], float]) -> Path:
    """Write `README.md` beside the weights; `accuracy` by task and concurrency, in parts of one."""
    training = json.loads((directory / "training.json").read_text())
    curve = training.pop("curve")
    rows = [f"| {task} | {concurrency} | {value:.1%} |" for (task, concurrency), value in accuracy.items()]
    names = list(curve[-1])
    points = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    points += [f"| {' | '.join(f'{point.get(name, 0):.4g}' for name in names)} |" for point in curve]
    card = directory / "README.md"
    card.write_text(
        _CARD.format(
            model=model,
            minutes=curve[-1]["seconds"] / 60,
            megabytes=(directory / "model.safetensors").stat().st_size / 1e6,
            scenes=scenes,
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            accuracy="\n".join(rows),
            curve="\n".join(points),
            **training,
        )
    )
    return card
