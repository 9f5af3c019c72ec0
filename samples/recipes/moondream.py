"""How the Moondream sample weights are made: a small Moondream2 of the published architecture that knows scenes.

What is new beside the others are places: boxes and points are fed and told as numbers, by heads of their own. In
training alone each picture token that a thing covers also tells that thing's box.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from looksee.core.tasks import Task
from looksee.models.core.passes import Pass, Window, attention, no_cross
from looksee.models.moondream import prompts
from looksee.models.moondream.config import (
    TokenizerConfig,
)
from looksee.models.moondream.crops.merge import pool, stitch
from looksee.models.moondream.crops.tiling import Crops, cut, normalised
from looksee.models.moondream.network.network import Network
from looksee.models.moondream.sequence_items import SequenceItem
from looksee.models.registry.prompts import CAPTION
from samples.recipes import language, tower
from samples.recipes.language import Batch
from samples.recipes.moondream_config import config, encoded, tokenizer
from samples.recipes.tower import GRID, IGNORED, WIDTH
from samples.world import places, wordings
from samples.world.exercises import Exercise, searches
from samples.world.scenes import MAX_THINGS, Scene, Thing

STEPS, BATCH_SIZE = 2600, 24
_INSTRUCTED = 0.5  # part of the pictures
_ROUNDS = 3  # of questions about each picture
_SEARCHES = 3  # for things in each picture, by boxes and by points
_PLACE_LOSS_WEIGHT, _BOX_HINT_WEIGHT = 0.5, 5.0
_INITIAL_STD = 0.06
_COORDINATE_WAVES = 2.0  # standard deviation of the frequencies in which places are fed
_MEAN, _STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_PICTURE = 10  # stands in training for a picture token; no text has it


class MoondreamLesson(language.LanguageLesson):
    def __init__(self) -> None:
        super().__init__()
        self.model = Network(config())
        self.names = self.model.config.tokenizer
        self.image_token = _PICTURE
        self.box_head = nn.Linear(WIDTH, 4)
        self.know(lambda word: encoded(f" {word}")[0])
        for part in self.model.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=_INITIAL_STD)
                nn.init.zeros_(part.bias)
        nn.init.normal_(self.model.text.wte, std=_INITIAL_STD)
        nn.init.normal_(self.model.region.coord_features, std=_COORDINATE_WAVES)
        nn.init.normal_(self.model.region.size_features, std=_COORDINATE_WAVES)
        missing, unexpected = self.tower().load_state_dict(_tower(), strict=False)
        assert not unexpected, unexpected
        assert all(name.startswith("proj_mlp") for name in missing), missing

    def tower(self) -> nn.Module:
        part: nn.Module = self.model.vision
        return part

    def warm(self) -> list[nn.Parameter]:
        new = ("proj_mlp", "pos_emb")
        return [part for name, part in self.tower().named_parameters() if not name.startswith(new)]

    def see(self, pixel_values: Sequence[Crops]) -> tuple[Tensor, Tensor]:
        # A single local crop has the pixels of the global one, so it is not computed twice.
        crops = [picture.pixels[: -1 if len(picture.pixels) == 2 else None] for picture in pixel_values]
        features = self.model.vision(normalised(torch.cat(crops), torch.float32))
        whole, pooled = [], []
        for picture, own in zip(pixel_values, torch.split(features, [len(part) for part in crops]), strict=True):
            local = own[-picture.rows * picture.columns :].view(-1, GRID, GRID, WIDTH)
            plane = stitch(local, picture.rows, picture.columns, self.model.config.vision.overlap_margin)
            whole.append(own[0])
            pooled.append(pool(plane, GRID).flatten(0, 1))
        patches = torch.stack(whole)
        return patches, self.model.vision.project(patches, torch.stack(pooled))

    def seen_kinds(self, labels: Tensor) -> Tensor:
        return labels[:, 0]

    def hint(self, features: Tensor, batch: Batch) -> Tensor:
        covered_by = batch["patch_labels"][:, 1]
        pictures, patches = covered_by.nonzero(as_tuple=True)
        boxes = batch["boxes"][pictures, covered_by[pictures, patches] - 1]
        off: Tensor = (self.box_head(features[pictures, patches]) - boxes).abs().mean()
        return super().hint(features, batch) + _BOX_HINT_WEIGHT * off

    def words(self) -> Tensor:
        weight: Tensor = self.model.text.wte
        return weight

    def embed(self, rows: Batch) -> Tensor:
        ids, region = rows["ids"], self.model.region
        embeddings = self.words()[ids]
        # Every place of an answer is fed, and told: both in the order of the rows.
        placed = (ids == self.names.coord_id).nonzero(as_tuple=True)
        embeddings = embeddings.index_put(placed, region.embed_coordinates(rows["coordinates"]))
        sized = (ids == self.names.size_id).nonzero(as_tuple=True)
        return embeddings.index_put(sized, region.embed_sizes(rows["sizes"]))

    def read(self, embeddings: Tensor, positions: Tensor, sees: Tensor, pictures: Tensor) -> Tensor:
        prefix = pictures | pictures.roll(-1, 1)  # and what stands before it: they all see each other
        sees = sees | (prefix[:, :, None] & prefix[:, None, :])
        states: Tensor = self.model.text(embeddings, _Whole(positions, sees[:, None]))
        return states

    def judge(self, hidden: Tensor, rows: Batch) -> tuple[Tensor, Tensor]:
        asked = rows["targets"] != IGNORED
        hidden, targets = hidden[asked], rows["targets"][asked]
        logits = self.model.text.logits(hidden)
        loss, right = tower.cross_entropy(logits, targets), logits.argmax(-1) == targets
        for token, judge, values in (
            (self.names.coord_id, places.coordinates, rows["coordinates"]),
            (self.names.size_id, places.sizes, rows["sizes"]),
        ):
            if len(values):
                told = (targets == token).nonzero()[:, 0]
                own_loss, near = judge(self.model.region, hidden[told], values)
                loss = loss + _PLACE_LOSS_WEIGHT * own_loss
                right = right.index_put((told,), right[told] & near)
        return loss, right

    def save(self, directory: Path) -> None:
        """Write the checkpoint in the published layout; what exists in training only is left behind."""
        directory.mkdir(parents=True, exist_ok=True)
        weights = {f"model.{name}": part.contiguous() for name, part in self.model.state_dict().items()}
        save_file(weights, directory / "model.safetensors", {"format": "pt"})
        tokenizer().save(str(directory / "tokenizer.json"))
        record = {"architectures": ["HfMoondream"], "model_type": "moondream1", "config": asdict(config())}
        (directory / "config.json").write_text(json.dumps(record, indent=1) + "\n")


class _Whole(Pass):
    """The whole sequence at once: nothing is kept. `seen` (rows, 1, length, length) bool is what attends to what."""

    def __init__(self, positions: Tensor, seen: Tensor) -> None:
        super().__init__(positions, no_cross)
        self._seen = seen

    def write(self, layer: int, keys_values: Tensor) -> None:
        pass

    def attend(self, layer: int, queries: Tensor, keys_values: Tensor, scale: float, window: Window = None) -> Tensor:
        return attention(queries, keys_values.transpose(1, 2), self._seen, scale)


class MoondreamCollate(language.LanguageCollate):
    def __init__(self) -> None:
        settings = config()
        names = settings.tokenizer
        before = [names.bos_id] + [_PICTURE] * (settings.text.prefix_attn - 1)

        def ids(exercise: Exercise) -> list[int]:
            return before + [piece for piece in _prompt(exercise, names) if isinstance(piece, int)]

        def answer(exercise: Exercise) -> list[int]:
            each = [names.coord_id, names.coord_id, names.size_id][: 3 if exercise.task == Task.DETECT else 2]
            told = [*encoded(f" {exercise.answer}")] if exercise.answer else each * len(exercise.things)
            return [*told, names.eos_id]

        super().__init__(
            lambda picture: cut(picture, settings.vision),
            ids,
            answer,
            caption_words=language.instruction,
            chats=False,
        )

    def __call__(self, pairs: Sequence[tuple[Scene, Any]], rng: random.Random) -> Batch:
        boxes = torch.zeros(len(pairs), MAX_THINGS, 4)
        for number, (scene, _) in enumerate(pairs):
            boxes[number, : len(scene.things)] = torch.tensor([_box(thing) for thing in scene.things])
        return {**super().__call__(pairs, rng), "boxes": boxes}

    def _together(self, pixels: Sequence[Crops]) -> list[Crops]:
        return list(pixels)

    def _about(self, number: int, scene: Scene, rng: random.Random) -> list[Exercise]:
        """Captions of all lengths, now and then one in a caller's own words, questions, boxes and points."""
        said = {"short": scene.short_caption(), "normal": scene.caption(), "long": scene.long_caption()}
        found = [Exercise(Task.CAPTION, (number,), length, text) for length, text in said.items()]
        if rng.random() < _INSTRUCTED:
            found.append(Exercise(Task.QUERY, (number,), self.caption_words(rng) or CAPTION, scene.caption()))
        found += self._questions(number, scene, rng, _ROUNDS)
        for task in (Task.DETECT, Task.POINT):
            for words in rng.sample(searches(scene, rng), _SEARCHES):
                found.append(Exercise(task, (number,), wordings.name(words, rng), things=scene.find(words)))
        return found

    def _group(self, rows: Sequence[Sequence[Exercise]]) -> Batch:
        searched = [(exercise.task, thing) for row in rows for exercise in row for thing in exercise.things]
        coordinates = [place for _, thing in searched for place in _box(thing)[:2]]
        sizes = [_box(thing)[2:] for task, thing in searched if task == Task.DETECT]
        group = super()._group(rows)
        return {**group, "coordinates": torch.tensor(coordinates), "sizes": torch.tensor(sizes).view(-1, 2)}


def _prompt(exercise: Exercise, names: TokenizerConfig) -> list[SequenceItem]:
    """As serving asks it, with the ids of the words."""
    if exercise.task == Task.CAPTION:
        return prompts.caption(names, exercise.words)
    if exercise.task == Task.QUERY:
        return prompts.query(names, encoded(exercise.words))
    template = names.templates.detect if exercise.task == Task.DETECT else names.templates.point
    return prompts.region(template, encoded(f" {exercise.words}"))


def _box(thing: Thing) -> tuple[float, float, float, float]:
    """Centre, width and height, in parts of the picture."""
    return thing.x, thing.y, 2 * thing.half_width, 2 * thing.half_height


def _tower() -> dict[str, Tensor]:
    """What BLIP's tower has learnt, by this tower's names."""
    names = {
        "embeddings.position_embedding": "pos_emb",
        "embeddings.patch_embedding": "patch_emb",
        "encoder.layers.": "blocks.",
        "self_attn.projection": "attn.proj",
        "self_attn.qkv": "attn.qkv",
        "layer_norm": "ln",
        "post_layernorm": "post_ln",
    }
    learnt = {}
    for name, part in tower.learnt(_MEAN, _STD).items():
        for old, new in names.items():
            name = name.replace(old, new)
        learnt[name] = part
    del learnt["embeddings.class_embedding"]  # this tower has none
    learnt["pos_emb"] = tower.with_rows(learnt["pos_emb"][:, 1:])
    learnt["patch_emb.weight"] = learnt["patch_emb.weight"].flatten(1)
    return learnt


LESSON, COLLATE = MoondreamLesson, MoondreamCollate
