"""Measure `classify` on drawn scenes that no training has seen, half of them spoilt: is the best label the right one?

    python -m bench.scores.labels

Asked are the colour of a shape, of all colours of the world, and the shape of a colour. Prints a table for
docs/scores.md. The sample weights of all models that have the task run in this process.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from bench.scores import asking
from looksee.core.scoring.labels import shares
from looksee.core.tasks import GREEDY, Grammar, Job, Task
from looksee.models.loading import load
from looksee.models.registry import REGISTRY, prompts
from looksee.models.weights.source import SAMPLES
from samples.world import exercises, scenes

_KINDS = {"What color": scenes.COLOURS, "What shape": scenes.SHAPES}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how often the best of some labels is right.")
    parser.add_argument("models", nargs="*", default=[n for n, s in REGISTRY.items() if Task.CLASSIFY in s.tasks])
    parser.add_argument("--scenes", type=int, default=60, help="of each model")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | pictures | questions | right | mean score of the best |\n| --- | --- | --- | --- | --- |")
    for name in options.models:
        model = load(name, SAMPLES / name, device="cpu", dtype="float32")
        found: dict[bool, list[tuple[float, bool]]] = defaultdict(list)
        for number in range(options.scenes):
            for score, right in _judged(name, model, number):
                found[bool(number % 2)].append((score, right))
        for spoilt, pairs in sorted(found.items()):
            share = sum(is_right for _, is_right in pairs) / len(pairs)
            mean = sum(score for score, _ in pairs) / len(pairs)
            pictures = "spoilt" if spoilt else "as trained"
            print(f"| `{name}` | {pictures} | {len(pairs)} | {share:.1%} | {mean:.3f} |", flush=True)


def _judged(name: str, model: Any, number: int) -> Iterator[tuple[float, bool]]:
    """The score of the best label for each question about a scene, and whether that is right."""
    rng = random.Random(f"labels:{number}")
    scene = scenes.compose(rng)
    picture = scenes.draw(scene, rng)
    images = (asking.as_file(asking.spoil(picture, rng) if number % 2 else picture),)
    for question, answer in exercises.questions(scene, rng):
        labels = next((labels for words, labels in _KINDS.items() if question.startswith(words)), None)
        if labels is None:
            continue
        told = replace(GREEDY, logprobs=0)
        words = prompts.query(name, question)
        jobs = [Job(Task.QUERY, images, words, sampling=told, grammar=Grammar("given", label)) for label in labels]
        answers = asking.answers(model, jobs)
        scores = shares([sum(token.chosen.logprob for token in one.tokens) for one in answers])
        yield max(scores), list(labels)[scores.index(max(scores))] == answer


if __name__ == "__main__":
    main()
