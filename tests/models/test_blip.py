"""BLIP behind the five verbs gives the tokens that the library's `generate` gives for each row alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BlipForConditionalGeneration

import errors
from models.blip import Blip, BlipRow
from models.weights import SAMPLES
from samples import blip as recipe
from samples import scenes
from tests.models.mixing import decode_mixed
from vision.images import decode
from vision.tasks import Job, Task

TRIALS, ROWS = 8, 16
WORDS = "a photo drawing of the red blue green circle square and two shapes on left right xylophone qz".split()


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained weights whose outputs depend on the picture: wide initial values everywhere, and few ends."""
    torch.manual_seed(5)
    config = recipe.config()
    config.text_config.initializer_range = config.vision_config.initializer_range = 0.25
    net = BlipForConditionalGeneration(config)
    directory = tmp_path_factory.mktemp("random-blip")
    net.save_pretrained(directory)
    recipe.processor().save_pretrained(directory)
    return directory


@pytest.fixture(scope="module", params=["random", "sample"])
def model(request: pytest.FixtureRequest, random_weights: Path) -> Blip:
    directory = random_weights if request.param == "random" else SAMPLES / "blip"
    return Blip(directory, device=torch.device("cpu"), dtype=torch.float32)


def some_job(rng: random.Random) -> Job:
    picture = scenes.encode(scenes.draw(scenes.compose(rng, sides=(64, 300)), rng), rng)
    prompt = " ".join(rng.choices(WORDS, k=rng.choice((0, 0, 1, 3, 8, 20))))
    return Job(Task.CAPTION, (picture,), prompt, max_new_tokens=rng.randint(1, 20))


def alone(model: Blip, job: Job, row: BlipRow) -> list[int]:
    """The new tokens of the library's own `generate` for one row, up to and with [SEP]."""
    inputs: dict[str, Any] = {"images": decode(job.images[0]), "return_tensors": "pt"}
    if job.prompt:
        inputs["text"] = job.prompt
    out = model.net.generate(**model.processor(**inputs), max_new_tokens=row.max_new_tokens, do_sample=False)
    tokens: list[int] = out[0, len(row.prompt_ids) :].tolist()
    (end,) = model.ends
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def test_the_fixture_looks_at_the_picture(model: Blip) -> None:
    rng = random.Random(11)
    jobs = [Job(Task.CAPTION, some_job(rng).images, "", 12) for _ in range(6)]
    rows = [model.prepare(job) for job in jobs]
    decode_mixed(model, rows, rng)
    assert len({tuple(row.tokens) for row in rows}) >= 5


def test_mixed_rows_are_identical_to_rows_alone(model: Blip) -> None:
    """Prompts of many lengths, none at all, own limits, random joins and leaves: 128 rows for each fixture.

    Padding on the right in `kv.collate_left`, leaving out `position_ids`, keeping [CLS] instead of [DEC], or forgetting
    to trim the mask with the cache each make this fail.
    """
    joins = 0
    for trial in range(TRIALS):
        rng = random.Random(trial)
        jobs = [some_job(rng) for _ in range(ROWS)]
        rows = [model.prepare(job) for job in jobs]
        joins += decode_mixed(model, rows, rng)
        for job, row in zip(jobs, rows, strict=True):
            assert row.tokens == alone(model, job, row), job.prompt
    assert joins >= TRIALS


def test_a_row_prefilled_again_goes_on_where_it_was(model: Blip) -> None:
    rng = random.Random(3)
    job = Job(Task.CAPTION, some_job(rng).images, "a photo of", 10)
    whole, broken = model.prepare(job), model.prepare(job)
    decode_mixed(model, [whole], rng)
    while broken.finish is None:  # as after a failed step: each token from a fresh prefill
        batch = model.prefill([broken])
        model.step(batch)
        model.read_out(batch)
    assert broken.tokens == whole.tokens


def test_the_prompt_is_not_part_of_the_caption(model: Blip) -> None:
    rng = random.Random(3)
    row = model.prepare(Job(Task.CAPTION, some_job(rng).images, "a photo of", 12))
    decode_mixed(model, [row], rng)
    outcome = model.outcome(row)
    assert not outcome.text.startswith("a photo of")
    assert outcome.prompt_tokens == 4
    assert outcome.new_tokens == len(row.tokens)


def test_a_prompt_that_leaves_no_room_is_refused(model: Blip) -> None:
    picture = some_job(random.Random(1)).images
    with pytest.raises(errors.PromptTooLong):
        model.prepare(Job(Task.CAPTION, picture, "red " * 60, 50))
    assert model.prepare(Job(Task.CAPTION, picture, "red " * 30, 50)).max_new_tokens == 64 - 31


def test_special_tokens_in_a_prompt_change_nothing_for_others(model: Blip) -> None:
    rng = random.Random(2)
    jobs = [some_job(rng) for _ in range(4)]
    rows = [model.prepare(job) for job in jobs]
    hostile = model.prepare(Job(Task.CAPTION, jobs[0].images, "[SEP] [PAD] [CLS] [MASK]", 5))
    decode_mixed(model, [rows[0], rows[1], hostile, rows[2], rows[3]], rng)
    for job, row in zip(jobs, rows, strict=True):
        assert row.tokens == alone(model, job, row)
