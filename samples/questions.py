"""What sample weights are asked to be measured: everything that a model can do, about fresh scenes.

Beside each task as it was taught there is the same as people and programs put it: in capitals and plurals, behind a
system's instructions, about cut-outs and files of every format.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from samples.world import exercises, scenes, structures, wordings
from samples.world.scenes import Scene, Thing

PREFIXES = ("", "a photo of", "a drawing of")
FLAG = "flag"  # a caption with a question of yes or no beside it
LENGTH = "caption, "  # of one of the lengths that a model has beside the normal one
CUT_OUT, ANY_FORMAT = "caption of a cut-out", "caption of any format"
WRITTEN = ", as written"  # of a question, or of the name of what is looked for
INSTRUCTED = "query with instructions"
KNOW_JSON = ("gemma",)  # the others' weights were made before there were exercises in JSON
STRUCTURED = ("JSON of a schema", "any JSON object")
_FORMATS = ("GIF", "BMP", "TIFF", "AVIF", "HEIF")


@dataclass(frozen=True)
class EvaluationQuestion:
    """One request and its right answer: a text, or the things that are to be found.

    `words` is the caption's beginning or its length, the question, or what is looked for. The result is counted under
    `label`. A chat may have `instructions`, and a `response_format`, which the answer in JSON follows.
    """

    model: str
    task: str
    pictures: tuple[bytes, ...]
    words: str
    answer: str | tuple[Thing, ...]
    label: str = ""
    instructions: str = ""
    response_format: dict[str, Any] | None = None

    @property
    def counted_as(self) -> str:
        return self.label or self.task


@dataclass(frozen=True)
class _Drawn:
    """A scene as a file, as a file of a rarer format, and as a cut-out whose transparency hides black."""

    scene: Scene
    data: bytes
    other: bytes
    cut_out: bytes


def _drawn(count: int, seed: str) -> list[_Drawn]:
    """Fresh scenes of all sizes."""
    found = []
    for number in range(count):
        rng = random.Random(f"evaluation:{seed}:{number}")
        scene = scenes.compose(rng)
        picture = scenes.draw(scene, rng)
        data = scenes.encode(picture, rng)
        cut_out = scenes.encode(scenes.cut_out(scene, rng), rng, ("PNG",))
        found.append(_Drawn(scene, data, _in_another_format(picture, rng), cut_out))
    return found


def _in_another_format(picture: Image.Image, rng: random.Random) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    file = io.BytesIO()
    picture.save(file, rng.choice(_FORMATS))
    return file.getvalue()


def asks(model: str, count: int, seed: int) -> Iterator[EvaluationQuestion]:
    """About `count` scenes: everything that the model can do."""
    tasks = REGISTRY[model].tasks
    pictures = _drawn(count, f"{model}:{seed}")
    for number, drawn in enumerate(pictures):
        scene, data, rng = drawn.scene, drawn.data, random.Random(f"questions:{seed}:{number}")
        prefix = PREFIXES[number % len(PREFIXES)] if REGISTRY[model].continues_prompt else ""
        yield EvaluationQuestion(model, Task.CAPTION, (data,), prefix, scene.caption())
        label, other = ((CUT_OUT, drawn.cut_out), (ANY_FORMAT, drawn.other))[number % 2]
        yield EvaluationQuestion(model, Task.CAPTION, (other,), "", scene.caption(), label)
        if Task.QUERY in tasks:
            yield from _questions(model, number, drawn, rng)
        if Task.COLLECTIVE in tasks and number % 2:
            pair = pictures[number - 1 : number + 1]
            text = exercises.collective([one.scene for one in pair])
            yield EvaluationQuestion(model, Task.COLLECTIVE, tuple(one.data for one in pair), "", text)
        if len(REGISTRY[model].lengths) > 1:
            length, text = (("short", scene.short_caption()), ("long", scene.long_caption()))[number % 2]
            yield EvaluationQuestion(model, LENGTH + length, (data,), length, text)
        for task in (Task.DETECT, Task.POINT):
            if task in tasks:
                words = exercises.searches(scene, rng)[number % exercises.SEARCHES]
                things = scene.find(words)
                yield EvaluationQuestion(model, task, (data,), words, things)
                yield EvaluationQuestion(model, task, (data,), wordings.name(words, rng), things, task + WRITTEN)


def _questions(model: str, number: int, drawn: _Drawn, rng: random.Random) -> Iterator[EvaluationQuestion]:
    asked = exercises.questions(drawn.scene, rng)
    pictures = (drawn.data,)
    words, answer = asked[number % len(asked)]
    yield EvaluationQuestion(model, Task.QUERY, pictures, words, answer)
    words, answer = asked[-1]  # the one of yes or no
    yield EvaluationQuestion(model, FLAG, pictures, words, answer)
    words, answer = asked[(number + 1) % len(asked)]
    yield EvaluationQuestion(model, Task.QUERY, pictures, wordings.question(words, rng), answer, Task.QUERY + WRITTEN)
    if REGISTRY[model].chats:
        told = wordings.instructions(rng)
        yield EvaluationQuestion(model, Task.QUERY, pictures, words, answer, INSTRUCTED, told)
    if model in KNOW_JSON:
        one = structures.question(drawn.scene, rng)
        label, form = STRUCTURED[one.schema is None], one.response_format
        yield EvaluationQuestion(model, Task.QUERY, pictures, one.words, one.answer, label, response_format=form)


def mixed(models: Sequence[str], count: int, seed: int) -> list[EvaluationQuestion]:
    """Everything about `count` scenes for each model, in random order."""
    stream = [ask for model in models for ask in asks(model, count, seed)]
    random.Random(seed).shuffle(stream)
    return stream
