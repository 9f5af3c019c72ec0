"""The sample weights' recipe: what it saves can be served, and what it trains is what serving computes."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from looksee.core.images import decode
from looksee.core.tasks import Task
from looksee.models.core.batch_cache import BatchCache
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.row_builder import TextOptions
from looksee.models.moondream.rows import MoondreamRow
from looksee.models.moondream.sequence_items import CoordinateItem, SequenceItem, SizeItem
from samples.recipes import moondream_config
from samples.recipes.language import Batch, sees
from samples.recipes.moondream import MoondreamCollate, MoondreamLesson
from samples.world import exercises, places, scenes
from samples.world.exercises import Exercise
from samples.world.scenes import Scene
from tests.models.moondream import rounding
from tests.models.moondream.rounding import near

LARGEST = 6_000_000  # bytes of all files


@functools.cache
def lesson() -> MoondreamLesson:
    torch.manual_seed(3)
    return MoondreamLesson().eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Moondream:
    """The untrained checkpoint, served."""
    directory = tmp_path_factory.mktemp("weights")
    lesson().save(directory)
    return Moondream(directory, device=torch.device("cpu"), dtype=torch.float32)


@functools.cache
def pictures() -> list[tuple[Scene, bytes]]:
    """One that is a single local crop, and one that is two; with two and three things."""
    rng = random.Random(5)
    found = []
    for count, (width, height) in ((2, (72, 70)), (3, (160, 130))):
        scene = scenes.compose(rng, count=count, sides=(70, 70)).with_size(width, height)
        found.append((scene, scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))))
    return found


class Recording(MoondreamCollate):
    """Remembers the exercises about each picture."""

    def _group(self, rows: Sequence[Sequence[Exercise]]) -> Batch:
        self.about = rows
        return super()._group(rows)


def collated() -> tuple[Recording, Batch]:
    collate = Recording()
    return collate, collate([(scene, decode(data)) for scene, data in pictures()], random.Random(2))


def asked(model: Moondream, exercise: Exercise) -> MoondreamRow:
    """The exercise's row, asked as everybody asks."""
    image, requests = pictures()[exercise.pictures[0]][1], model.row_builder
    if exercise.task == Task.DETECT:
        return requests.detect(image, exercise.words)
    if exercise.task == Task.POINT:
        return requests.point(image, exercise.words)
    if exercise.task == Task.CAPTION:
        return requests.caption(image, exercise.words)
    return requests.query(image, exercise.words)


def answered(model: Moondream, exercise: Exercise) -> list[SequenceItem]:
    """What the row is fed for the right answer, but for the end."""
    if exercise.answer:
        return [*model.tokenizer.encode(f" {exercise.answer}")]
    fed: list[SequenceItem] = []
    for thing in exercise.things:
        fed += [CoordinateItem(thing.x), CoordinateItem(thing.y)]
        if exercise.task == Task.DETECT:
            fed.append(SizeItem(2 * thing.half_width, 2 * thing.half_height))
    return fed


def served(model: Moondream, row: MoondreamRow, answer: list[SequenceItem]) -> Tensor:
    """Hidden states of the row's prompt and right answer, (length, width)."""
    assert row.image is not None
    pieces = [*row.prompt, *answer]
    config = model.config
    prefix = model.net.image_prefixes(model.encoder.image_tokens([row.image.crops(config.vision)]))
    cache = BatchCache(model.step_runner.storage, 1, row.start + len(pieces) + 1)
    cache.write_prefix([0], [layer[0] for layer in prefix])
    return model.net.extend([pieces], [row.start], cache)[0]


@torch.inference_mode()
def test_what_is_trained_is_what_is_served(model: Moondream) -> None:
    collate, batch = collated()
    assert [(crops.rows, crops.columns) for crops in batch["pixel_values"]] == [(1, 1), (1, 2)]
    (group,) = batch["groups"]
    features = lesson().see(batch["pixel_values"])[1]
    in_pictures = group["ids"] == lesson().image_token
    embeddings = lesson().embed(group).masked_scatter(in_pictures[..., None], features[group["pictures"]].flatten(0, 1))
    hidden = lesson().read(embeddings, group["positions"], sees(group["parts"]), in_pictures)
    tasks = set()
    for number, about in enumerate(collate.about):
        for part, exercise in enumerate(about, start=1):
            own = hidden[number][group["parts"][number] == part]
            row = asked(model, exercise)
            wanted = served(model, row, answered(model, exercise))[-len(own) :]
            assert near(own, wanted, rounding.read(model.config), angle=row.position + len(own)), exercise
            tasks.add((str(exercise.task), bool(exercise.things)))
    assert tasks == {("caption", False), ("query", False), ("detect", True), ("detect", False), ("point", True)} | (
        tasks & {("point", False)}
    )


def test_the_right_answer_is_what_a_row_would_say(model: Moondream) -> None:
    """The trained targets are the ids that end a row with the exercise's answer."""
    collate, _ = collated()
    for exercise in (exercise for row in collate.about for exercise in row):
        row = asked(model, exercise)
        fed, told = answered(model, exercise), collate.answer(exercise)
        assert collate.ids(exercise)[row.start :] == row.prompt
        assert len(collate.ids(exercise)) == row.start + len(row.prompt)
        assert told[-1] == model.config.tokenizer.eos_id
        names = {CoordinateItem: model.config.tokenizer.coord_id, SizeItem: model.config.tokenizer.size_id}
        assert told[:-1] == [piece if isinstance(piece, int) else names[type(piece)] for piece in fed]


@torch.inference_mode()
def test_the_untrained_checkpoint_answers_every_skill(model: Moondream) -> None:
    image, requests = pictures()[1][1], model.row_builder
    rows: list[MoondreamRow] = [
        requests.caption(image, length, TextOptions(4)) for length in ("short", "normal", "long")
    ]
    rows += [
        requests.query(image, "What color is the circle?", TextOptions(4)),
        requests.detect(image, "shape", max_objects=2),
        requests.point(image, "red circle", max_objects=2),
    ]
    batch = model.prefill(rows)
    for _ in range(6):
        model.step(batch)
        model.sample(batch)
        going = [index for index, row in enumerate(batch.rows) if row.finish is None]
        if not going:
            break
        batch = model.keep_rows(batch, going)
    assert all(row.finish for row in rows)
    assert all(0 <= number < 1 for row in rows for point in row.points for number in point)


def test_it_is_small(model: Moondream, tmp_path: Path) -> None:
    lesson().save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < LARGEST
    assert model.config == moondream_config.config()


def test_a_step_of_training_teaches_all_of_it() -> None:
    torch.manual_seed(3)
    pupil = MoondreamLesson().train()
    loss, figures = pupil(collated()[1], 0.0)
    loss.backward()
    assert [name for name, part in pupil.named_parameters() if part.grad is None] == []
    assert set(figures) == {"loss", "patch", "caption", "query", "detect", "point"}
    assert {id(part) for part in pupil.warm()} < {id(part) for part in pupil.tower().parameters()}


def test_neighbouring_bins_are_nearly_right() -> None:
    region = lesson().model.region

    def loss(judge: Any, bins: Tensor, values: Tensor) -> tuple[float, bool]:
        name = "coordinate_logits" if judge is places.coordinates else "size_logits"
        with pytest.MonkeyPatch.context() as patch:
            logits = torch.nn.functional.one_hot(bins, region.config.coord_out_dim // (1 + (bins.ndim == 2))) * 5.0
            patch.setattr(region, name, lambda hidden: logits)
            value, near = judge(region, torch.empty(len(bins), 1), values)
        return value.item(), bool(near.all())

    values = torch.tensor([region.coordinate(100)])
    right, beside, off = (loss(places.coordinates, torch.tensor([place]), values) for place in (100, 102, 130))
    assert right[0] < beside[0] < off[0]
    assert (right[1], beside[1], off[1]) == (True, True, False)
    values = torch.tensor([[region.size(90), region.size(100)]])
    right, beside, off = (loss(places.sizes, torch.tensor([pair]), values) for pair in ([90, 100], [91, 99], [90, 110]))
    assert right[0] < beside[0] < off[0]
    assert (right[1], beside[1], off[1]) == (True, True, False)


def test_each_word_is_one_token() -> None:
    said = [scene.long_caption() for scene, _ in pictures()] + [*scenes.COLOURS, *scenes.SHAPES, *scenes.NUMBERS]
    said += ["yes", "no", "shapes", "describe", "short", "normal", "long", "query", "detect", "point"]
    for text in said:
        assert len(moondream_config.encoded(f" {text}")) == len(text.replace(",", " ,").split()), text
    assert moondream_config.tokenizer().decode(moondream_config.encoded(" une pièce, 漢字")) == " une pièce, 漢字"


def test_searches_find_what_is_there() -> None:
    rng = random.Random(1)
    for _ in range(100):
        scene = scenes.compose(rng)
        found = [len(scene.find(words)) for words in exercises.searches(scene, rng)]
        assert min(found[:2]) >= 1
        assert found[2:] == [len(scene.things), 0, 0]
