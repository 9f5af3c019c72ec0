"""Whatever shares the batch, each row gets the tokens that the library's `generate` gives it alone."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from looksee.core.tasks import Job, Sampling, Task
from looksee.models.interface import Row
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.weights.source import SAMPLES
from samples.world import exercises, scenes
from tests.models.checkpoints import write_random
from tests.models.library import MODELS, LibraryAlone
from tests.models.mixing import decode_mixed

MIXES, LARGEST = {"random": 40, "sample": 8}, 32  # rows: some seven hundred of each random model in all
POOL = 48
WORDS = "a photo drawing of the red blue green circle square and two shapes on left right xylophone qz".split()


@dataclass
class Subject:
    """A model, and rows with the tokens that the library gives each alone."""

    name: str
    model: Any
    alone: LibraryAlone
    jobs: list[Job]
    rows: list[Row]
    tokens: list[list[int]]

    def fresh(self, number: int) -> Row:
        """A row as it was prepared; its pictures, which a prefill changes, are its own."""
        row: Any = replace(self.rows[number], tokens=[], finish=None)
        if self.name != "blip":
            row.images = [replace(image) for image in row.images]
        made: Row = row
        return made


def picture(rng: random.Random) -> bytes:
    return scenes.encode(scenes.draw(scenes.compose(rng, sides=(64, 300)), rng), rng)


def some_job(name: str, rng: random.Random) -> Job:
    """Prompts of many lengths, none at all, up to three pictures or none where the model takes that, own limits."""
    count = rng.choice((0, 1, 1, 1, 2, 3)) if name in ("gemma", "intern_vlm") else 1
    prompt = " ".join(rng.choices(WORDS, k=rng.choice((0, 1, 3, 8, 20))))
    if rng.random() < 0.3:
        prompt = prompts.query(name, exercises.questions(scenes.compose(rng), rng)[0][0])
    if not count:
        prompt = prompt or "red"
    return Job(Task.CAPTION, tuple(picture(rng) for _ in range(count)), prompt, max_new_tokens=rng.randint(1, 16))


@pytest.fixture(scope="module", params=[(name, kind) for name in MODELS for kind in MIXES], ids="-".join)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    name, kind = request.param
    directory = SAMPLES / name
    if kind == "random":
        directory = write_random(name, tmp_path_factory.mktemp(name))
    options: dict[str, Any] = {"max_tiles": 2} if (name, kind) == ("intern_vlm", "random") else {}
    if name != "blip":
        options["prefix_bytes"] = 2**26
    model: Any = load(name, directory, device="cpu", dtype="float32", **options)
    alone = LibraryAlone(name, directory, model)
    rng = random.Random(17)
    jobs = [some_job(name, rng) for _ in range(POOL)]
    rows = [model.prepare(job) for job in jobs]
    tokens = [alone.tokens(job, row) for job, row in zip(jobs, rows, strict=True)]
    return Subject(name, model, alone, jobs, rows, tokens)


def test_the_prompt_is_the_librarys(subject: Subject) -> None:
    """The same ids and the same pixels, bit for bit, as the library's processor makes of a job."""
    for job, row in zip(subject.jobs, subject.rows, strict=True):
        own: Any = row
        inputs = subject.alone.inputs(job)
        if subject.name != "blip":  # whose generate rewrites the ids; its outputs are compared below
            assert own.prompt_ids == inputs["input_ids"][0].tolist()
        if job.images:
            pixels = (
                own.pixel_values[None]
                if subject.name == "blip"
                else torch.cat([one.pixel_values for one in own.images])
            )
            assert torch.equal(pixels, inputs["pixel_values"])


def test_answers_depend_on_the_picture(subject: Subject) -> None:
    rng = random.Random(11)
    prompt = prompts.caption(subject.name)
    rows = [subject.model.prepare(Job(Task.CAPTION, (picture(rng),), prompt, 12)) for _ in range(8)]
    decode_mixed(subject.model, rows, rng)
    assert len({tuple(row.tokens) for row in rows}) >= 5


def test_mixed_rows_are_identical_to_rows_alone(subject: Subject, request: pytest.FixtureRequest) -> None:
    """Rows of all kinds join and leave at random steps.

    Each of these makes it fail: picture tokens of Gemma that do not see the later ones; its window left out; positions
    that count the padding; [CLS] kept instead of [DEC] for BLIP; rows that leave without the last ones filling the gap.
    """
    kind = request.node.callspec.params["subject"][1]
    joins = 0
    for mix in range(MIXES[kind]):
        rng = random.Random(mix)
        if mix % 2 and subject.name != "blip":  # else most rows begin with what is kept of earlier ones
            subject.model.beginning_cache.clear()
        chosen = rng.sample(range(POOL), rng.randint(2, LARGEST))
        rows = [subject.fresh(number) for number in chosen]
        joins += decode_mixed(subject.model, rows, rng)
        for number, row in zip(chosen, rows, strict=True):
            assert row.tokens == subject.tokens[number], subject.jobs[number].prompt
    assert joins >= MIXES[kind] // 2


def test_a_row_prefilled_again_goes_on_where_it_was(subject: Subject) -> None:
    numbers = [number for number in range(POOL) if len(subject.tokens[number]) > 1][:4]
    for number in numbers:
        row = subject.fresh(number)
        while row.finish is None:  # as after a failed step: each token from a fresh prefill
            batch = subject.model.prefill([row])
            subject.model.step(batch)
            subject.model.sample(batch)
        assert row.tokens == subject.tokens[number]


def test_seeded_sampling_does_not_depend_on_the_batch(subject: Subject) -> None:
    rng = random.Random(23)
    rows = []
    for number in rng.sample(range(POOL), 8):
        rule = Sampling(rng.choice((0.5, 1.0, 1.5)), rng.choice((0.5, 0.9, 1.0)), rng.choice((0, 1, 5, 50)), number)
        rows.append(subject.model.prepare(replace(subject.jobs[number], sampling=rule, max_new_tokens=12)))
    alone = [replace(row, tokens=[], finish=None) for row in rows]
    for row in alone:
        decode_mixed(subject.model, [row], rng)
    greedy = [subject.fresh(number) for number in rng.sample(range(POOL), 4)]
    decode_mixed(subject.model, [*rows, *greedy], rng)
    assert [row.tokens for row in rows] == [row.tokens for row in alone]
