"""Train sample weights: one seeded, resumable command for each model.

    python -m samples.training blip            # or: make samples MODEL=blip
    python -m samples.training gemma --further # goes on from the weights in place

A batch depends on the seed and its step alone, so a training that was stopped goes on from its last checkpoint with the
very batches it would have seen.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import random
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from looksee.core.images import decode
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES
from samples.world import scenes
from samples.world.scenes import Scene

_CHECKPOINTS = Path(__file__).parent / "checkpoints"
_SIDES = (64, 400)  # pixels; larger pictures cost time to draw and look alike once resized
_PEAK_RATE = 1.5e-3
_FURTHER_RATE = 1e-3  # for weights that know the world already
_FURTHER_ROUNDS = 2  # of questions about each picture: what is known needs less
_WARM_PART = 0.3  # of the rate, for parts that begin with what another model has learnt
_WARM_UP = 0.03  # part of the training in which the learning rate rises
_CHECKPOINT_EVERY = 100


class Lessons(Dataset[dict[str, Tensor]]):
    """Item `step` is that step's whole batch. One thing at first, then two, then three."""

    def __init__(self, model: str, seed: int, steps: int, batch_size: int, *, further: bool = False) -> None:
        """With `further` three at once, for a model that has learnt from such lessons before."""
        self.collate = importlib.import_module(f"samples.recipes.{model}").COLLATE()
        self.seed, self.steps, self.batch_size, self.further = (
            f"further {seed}" if further else seed,
            steps,
            batch_size,
            further,
        )
        if further:
            self.collate.rounds = _FURTHER_ROUNDS

    def progress(self, step: int) -> float:
        """From 0 to 1 over the whole training; 1 all the time for what goes further."""
        return 1.0 if self.further else step / self.steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = random.Random(f"{self.seed}:{step}")
        progress = self.progress(step)
        most = 1 if progress < 0.08 else 2 if progress < 0.18 else 3
        pairs = []
        for _ in range(self.batch_size):
            scene = _compose(most, rng)
            picture = scenes.draw(scene, rng)
            pairs.append((scene, decode(scenes.encode(picture, rng))))
        batch: dict[str, Tensor] = self.collate(pairs, rng)
        return batch


def _compose(most: int, rng: random.Random) -> Scene:
    """A scene of at most `most` things; in every second one the order from left to right is harder to see."""
    count = rng.choices((1, 2, 3)[:most], weights=(2, 3, 5)[:most])[0]
    choices = [scenes.compose(rng, count=count, sides=_SIDES) for _ in range(rng.choice((1, 3)))]
    return min(choices, key=_narrowest)


def _narrowest(scene: Scene) -> float:
    """The smallest distance of two neighbours' centres along x, in parts of the width."""
    return min((right.x - left.x for left, right in pairwise(scene.things)), default=1.0)


def train(model: str, *, seed: int, steps: int, batch_size: int, threads: int, further: bool = False) -> Path:
    """Train `model`'s sample weights and write them to `samples/weights/<model>`; returns that directory.

    With `further` it goes on from the weights that are there.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    lesson = importlib.import_module(f"samples.recipes.{model}").LESSON().train()
    directory = SAMPLES / model
    before = json.loads((directory / "training.json").read_text()) if further else None
    if further:
        lesson.begin(directory)
    warm = {id(part) for part in lesson.warm()}
    parts = [(1.0, [part for part in lesson.parameters() if id(part) not in warm]), (_WARM_PART, lesson.warm())]
    peak = _FURTHER_RATE if further else _PEAK_RATE
    groups = [{"params": own, "scale": scale} for scale, own in parts if own]
    optimizer = torch.optim.AdamW(groups, lr=peak, weight_decay=0.01, betas=(0.9, 0.98))
    checkpoint = _CHECKPOINTS / f"{model}-{seed}-{steps}x{batch_size}{'-further' * further}.pt"
    first, seconds, curve = _resume(checkpoint, lesson, optimizer)
    started = time.monotonic() - seconds
    all_lessons = Lessons(model, seed, steps, batch_size, further=further)
    lessons = torch.utils.data.Subset(all_lessons, range(first, steps))
    bar = tqdm(total=steps, initial=first, desc=f"training {model}", unit="step")
    for step, batch in enumerate(DataLoader(lessons, batch_size=None, num_workers=1, prefetch_factor=4), start=first):
        for group in optimizer.param_groups:
            group["lr"] = peak * group["scale"] * _schedule(step / steps)
        loss, figures = lesson(batch, all_lessons.progress(step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lesson.parameters(), 1.0)
        optimizer.step()
        bar.update()
        bar.set_postfix({name: f"{value:.3f}" for name, value in figures.items()}, refresh=False)
        if (step + 1) % _CHECKPOINT_EVERY == 0 or step + 1 == steps:
            rounded = {name: round(value, 4) for name, value in figures.items()}
            curve.append({"step": step + 1, "seconds": round(time.monotonic() - started), **rounded})
            _save(checkpoint, lesson, optimizer, step + 1, time.monotonic() - started, curve)
    bar.close()
    lesson.eval().save(directory)
    for file in directory.iterdir():
        file.chmod(0o644)  # the library writes weights that only their owner may read
    record = {"seed": seed, "steps": steps, "batch_size": batch_size, "threads": threads, "curve": curve}
    if before is not None:
        record["before"] = before
    (directory / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    return directory


def _schedule(progress: float) -> float:
    return min(progress / _WARM_UP, 0.5 + 0.5 * math.cos(math.pi * progress))


def _resume(checkpoint: Path, lesson: Any, optimizer: Any) -> tuple[int, float, list[dict[str, float]]]:
    if not checkpoint.exists():
        return 0, 0.0, []
    saved = torch.load(checkpoint, weights_only=True)
    lesson.load_state_dict(saved["lesson"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["step"], saved["seconds"], saved["curve"]


def _save(checkpoint: Path, lesson: Any, optimizer: Any, step: int, seconds: float, curve: list[Any]) -> None:
    checkpoint.parent.mkdir(exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    state = {"lesson": lesson.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**state, "step": step, "seconds": seconds, "curve": curve}, partial)
    partial.replace(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the sample weights of one model on drawn scenes.")
    parser.add_argument("model", choices=list(REGISTRY))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="default: the recipe's")
    parser.add_argument("--batch-size", type=int, help="default: the recipe's")
    parser.add_argument("--further", action="store_true", help="go on from the weights in place")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (a second core draws the scenes)")
    options = parser.parse_args()
    recipe = importlib.import_module(f"samples.recipes.{options.model}")
    directory = train(
        options.model,
        seed=options.seed,
        steps=options.steps or recipe.STEPS,
        batch_size=options.batch_size or recipe.BATCH_SIZE,
        threads=options.threads,
        further=options.further,
    )
    print(f"wrote {directory}")


if __name__ == "__main__":
    main()
