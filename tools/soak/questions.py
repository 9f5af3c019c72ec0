"""What is asked: drawn scenes, so that the truth about each picture is known, and one form for every kind of answer."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from samples.evaluate import normalised
from samples.world import exercises, finding, scenes
from samples.world.scenes import Scene, Thing

CAPTION, SHORT, LONG, FLAG, QUERY, CHAT, DETECT, POINT, TOGETHER = (
    *("caption", "short", "long", "flag", "query", "chat", "detect", "point", "together"),
)
_SIDES = (96, 256)  # pixels: the models see a few hundred, and drawing is the run's own work
_NEAR = 0.02  # of a side: two places that are the same

Places = tuple[tuple[float, ...], ...]  # boxes or points, in parts of the picture's sides
Said = str | Places


@dataclass(frozen=True)
class Sight:
    """A drawn scene and its file."""

    scene: Scene
    data: bytes


@dataclass(frozen=True)
class SoakQuestion:
    """One question to one model about one picture, or with `TOGETHER` about two. `truth` is what the scene says."""

    model: str
    kind: str
    sights: tuple[Sight, ...] = field(repr=False)
    words: str
    truth: str | tuple[Thing, ...]

    def is_true(self, said: Said) -> bool:
        """Whether an answer is right about the picture."""
        if isinstance(said, str) or isinstance(self.truth, str):
            return isinstance(said, str) and normalised(said) == self.truth
        if self.kind == POINT:
            return finding.pointed(self.truth, [(x, y) for x, y in said])
        boxes = [(left, top, right, bottom) for left, top, right, bottom in said]
        return finding.matched(self.truth, boxes) == len(self.truth) == len(boxes)


def same(one: Said, other: Said) -> bool:
    """Whether two answers are one: texts to the letter, places but for a rounding of their last step."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return len(one) == len(other) and all(
        len(left) == len(right) and all(abs(a - b) <= _NEAR for a, b in zip(left, right, strict=True))
        for left, right in zip(one, other, strict=True)
    )


def drawn(count: int, seed: str) -> list[Sight]:
    """Scenes of which no two have the same caption, as far as there are so many."""
    found: dict[str, Sight] = {}
    for number in itertools.count():
        rng = random.Random(f"soak:{seed}:{number}")
        scene = scenes.compose(rng, sides=_SIDES)
        text = scene.caption()
        if text not in found or number > 20 * count:
            found[text if text not in found else f"{number}"] = Sight(
                scene, scenes.encode(scenes.draw(scene, rng), rng)
            )
        if len(found) == count:
            return list(found.values())
    raise AssertionError


def asked(model: str, sights: Sequence[Sight], seed: str) -> Iterator[SoakQuestion]:
    """Everything that a model can be asked about the scenes."""
    spec = REGISTRY[model]
    for number, sight in enumerate(sights):
        scene, rng, one = sight.scene, random.Random(f"soak:{seed}:{model}:{number}"), (sight,)
        yield SoakQuestion(model, CAPTION, one, "", scene.caption())
        if len(spec.lengths) > 1:
            kind, truth = ((SHORT, scene.short_caption()), (LONG, scene.long_caption()))[number % 2]
            yield SoakQuestion(model, kind, one, kind, truth)
        if Task.QUERY in spec.tasks:
            words = exercises.questions(scene, rng)
            yield SoakQuestion(model, QUERY, one, *words[number % len(words)])
            question, answer = words[-1]  # the one of yes or no
            yield SoakQuestion(model, FLAG, one, question, answer)
            if spec.chats:
                yield SoakQuestion(model, CHAT, one, *words[(number + 1) % len(words)])
        for task, kind in ((Task.DETECT, DETECT), (Task.POINT, POINT)):
            if task in spec.tasks:
                name = exercises.searches(scene, rng)[number % 3]  # of what is there
                yield SoakQuestion(model, kind, one, name, scene.find(name))
        if Task.COLLECTIVE in spec.tasks and number % 2:
            pair = (sights[number - 1], sight)
            yield SoakQuestion(model, TOGETHER, pair, "", exercises.collective([each.scene for each in pair]))
