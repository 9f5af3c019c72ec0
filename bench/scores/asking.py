"""What is asked, of models in this process, and what is right of it: a score from 0 to 1 for each answer."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image, ImageFilter

from looksee.core.scoring.tokens import mean_logprob
from looksee.core.scoring.yes_or_no import ALTERNATIVES, yes_probability
from looksee.core.tasks import GREEDY, Answer, Job, Task
from looksee.models.registry import REGISTRY, prompts
from samples.evaluate import normalised
from samples.world import exercises, finding, scenes, wordings
from samples.world.scenes import Scene

SEARCHES = 3  # things that are looked for in a scene
AT_ONCE = 16
CAPTION, ANSWER, FLAG = "caption", "answer", "flag"


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer, or a box or point of one: what the model's score was, and whether it is right.

    `spoilt`: of a picture that is worse than those of the training.
    """

    skill: str
    model: str
    score: float
    right: bool
    spoilt: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    skill: str
    scene: Scene
    words: str
    answer: str
    job: Job
    spoilt: bool


def judged(name: str, model: Any, count: int, seed: int) -> Iterator[Judged]:
    """All about `count` scenes, every other one spoilt. `model` is the loaded model of that name."""
    asked = [one for number in range(count) for one in _about(name, number, seed)]
    for first in range(0, len(asked), AT_ONCE):
        part = asked[first : first + AT_ONCE]
        for one, answer in zip(part, answers(model, [ask.job for ask in part]), strict=True):
            for score, right in _judge(one, answer):
                yield Judged(one.skill, name, score, right, one.spoilt)


def spoil(picture: Image.Image, rng: random.Random) -> Image.Image:
    """The picture as a bad camera has it: a few pixels large and enlarged again, blurred, pale, or noisy."""
    size = picture.size
    match rng.randrange(4):
        case 0:
            part = rng.uniform(12, 48) / max(size)
            return picture.resize([max(2, round(side * part)) for side in size]).resize(size)
        case 1:
            return picture.filter(ImageFilter.GaussianBlur(max(size) * rng.uniform(0.01, 0.06)))
        case 2:
            return Image.blend(picture, Image.new("RGB", size, (128, 128, 128)), rng.uniform(0.5, 0.9))
        case _:
            noise = Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))
            return Image.blend(picture, noise, rng.uniform(0.3, 0.75))


def _about(name: str, number: int, seed: int) -> Iterator[_Asked]:
    rng, spoilt = random.Random(f"scores:{name}:{seed}:{number}"), bool(number % 2)
    scene = scenes.compose(rng)
    picture = scenes.draw(scene, rng)
    images = (as_file(spoil(picture, rng) if spoilt else picture),)
    told = replace(GREEDY, logprobs=0)
    caption = Job(Task.CAPTION, images, prompts.caption(name), sampling=told)
    yield _Asked(CAPTION, scene, "", scene.caption(), caption, spoilt)
    tasks = REGISTRY[name].tasks
    if Task.QUERY in tasks:
        questions = exercises.questions(scene, rng)
        words, answer = questions[number % len(questions)]
        query = Job(Task.QUERY, images, prompts.query(name, words), sampling=told)
        yield _Asked(ANSWER, scene, words, answer, query, spoilt)
        words, answer = questions[-1]  # the one of yes or no
        told = replace(GREEDY, logprobs=ALTERNATIVES)
        yield _Asked(
            FLAG, scene, words, answer, Job(Task.QUERY, images, prompts.flag(name, words), sampling=told), spoilt
        )
    for task in (Task.DETECT, Task.POINT):
        if task in tasks:
            for words in rng.sample(exercises.searches(scene, rng), SEARCHES):
                job = Job(task, images, wordings.name(words, rng))
                yield _Asked(str(task), scene, words, "", job, spoilt)


def as_file(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


@torch.inference_mode()
def answers(model: Any, jobs: Sequence[Job]) -> list[Answer]:
    """The models' answers to jobs that run together."""
    rows = [model.prepare(job) for job in jobs]
    batch = model.prefill(rows)
    while True:
        model.step(batch)
        model.sample(batch)
        going = [index for index, row in enumerate(batch.rows) if row.finish is None]
        if not going:
            return [model.answer(row) for row in rows]
        if len(going) < len(batch.rows):
            batch = model.keep_rows(batch, going)


def _judge(asked: _Asked, answer: Answer) -> list[tuple[float, bool]]:
    """Scores, each with whether it is right of what it says. A flag's is of yes, whatever was said."""
    if asked.skill == FLAG:
        chance = yes_probability(answer.tokens)
        return [] if chance is None else [(chance, asked.answer == "yes")]
    if asked.skill in (CAPTION, ANSWER):
        mean = mean_logprob(answer.tokens)
        return [] if mean is None else [(math.exp(mean), normalised(answer.text) == asked.answer)]
    things = list(asked.scene.find(asked.words))
    found = []
    for place, score in sorted(
        zip(answer.boxes or answer.points, answer.confidences, strict=True), key=lambda pair: -pair[1]
    ):
        fits = [thing for thing in things if _fits(thing, place)]
        for thing in fits[:1]:
            things.remove(thing)  # a second place for the same thing is wrong
        found.append((score, bool(fits)))
    return found


def _fits(thing: scenes.Thing, place: tuple[float, ...]) -> bool:
    if len(place) == 2:
        return finding.contains(thing, (place[0], place[1]))
    x_min, y_min, x_max, y_max = place
    return finding.overlap(finding.corners(thing), (x_min, y_min, x_max, y_max)) >= finding.OVERLAP
