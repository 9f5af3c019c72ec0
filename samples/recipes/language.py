"""Teaching a model whose language part reads a picture's features among its tokens: all but BLIP.

A picture is seen once and serves several exercises of the batch: its caption, questions about it, and captions of
several pictures together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from looksee.core.tasks import Task
from samples.recipes.packing import after_question, packed
from samples.recipes.tower import GRID, IGNORED, PatchLoss, cross_entropy, patch_labels
from samples.world import exercises, structures, wordings
from samples.world.exercises import Exercise
from samples.world.scenes import COLOURS, SHAPES, Scene

ROUNDS = 5  # of questions about each picture
_STRUCTURES, _LENGTHS = 2, 3  # answers in JSON about each picture
_PATCH_LOSS_ENDS = 0.7  # of the training
_INSTRUCTED, _CONTINUED = 0.4, 0.15  # parts of the pictures whose exercises have instructions, and follow earlier turns
_WRITTEN = ("Describe this image.", "describe the picture", "What do you see?", "Write a caption.", "caption", "")
_TOGETHER = ("Describe the pictures.", "One caption for all the images", "Describe all the images.", "", "", "")

Batch = dict[str, Any]


class LanguageLesson(nn.Module):
    """A model under training. A recipe says how it sees and reads."""

    model: Any
    image_token: int
    colour_words: Tensor
    shape_words: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.patch_loss = PatchLoss()

    def see(self, pixel_values: Any) -> tuple[Tensor, Tensor]:
        """Patches (pictures, patches, width) and features (pictures, tokens, text width) of a `LanguageCollate`."""
        raise NotImplementedError

    def hint(self, features: Tensor, batch: Batch) -> Tensor:
        """A further loss that exists in training only.

        A picture token that a thing covers should be near the words for that thing's colour and shape. Without this
        questions of the kind "Is there a red circle?" are answered with yes for a long time.
        """
        kinds = self.seen_kinds(batch["patch_labels"])
        things = nn.functional.layer_norm(features[kinds > 0], features.shape[-1:])
        kind = kinds[kinds > 0] - 1
        colours, shapes = kind // len(SHAPES), kind % len(SHAPES)
        words = self.words()
        return cross_entropy(things @ words[self.colour_words].T, colours) + cross_entropy(
            things @ words[self.shape_words].T, shapes
        )

    def seen_kinds(self, labels: Tensor) -> Tensor:
        """The kind of thing (0: none) that each picture token should tell, from the patches' labels."""
        kinds = labels[:, 0].view(len(labels), GRID // 2, 2, GRID // 2, 2)
        return kinds.amax((2, 4)).flatten(1)

    def know(self, word: Callable[[str], int]) -> None:
        """Remember the tokens of the colours and shapes."""
        self.colour_words = torch.tensor([word(colour) for colour in COLOURS])
        self.shape_words = torch.tensor([word(shape) for shape in SHAPES])

    def words(self) -> Tensor:
        """The embeddings of all words, (vocabulary, width)."""
        weight: Tensor = self.model.get_input_embeddings().weight
        return weight

    def embed(self, rows: Batch) -> Tensor:
        """The embeddings of a group's tokens (rows, length, width); the pictures' are not there yet."""
        embeddings: Tensor = self.model.get_input_embeddings()(rows["ids"])
        return embeddings

    def read(self, embeddings: Tensor, positions: Tensor, sees: Tensor, pictures: Tensor) -> Tensor:
        """Hidden states (rows, length, width).

        `sees` (rows, length, length) tells which token may see which; `pictures` (rows, length) marks picture tokens.
        """
        raise NotImplementedError

    def judge(self, hidden: Tensor, rows: Batch) -> tuple[Tensor, Tensor]:
        """The loss of a group's hidden states, and which of the asked tokens, in their order, are right."""
        asked = rows["targets"] != IGNORED
        logits, targets = self.model.get_output_embeddings()(hidden[asked]), rows["targets"][asked]
        shares = rows["shares"][asked]
        loss = (nn.functional.cross_entropy(logits, targets, reduction="none") * shares).sum() / shares.sum()
        return loss, logits.argmax(-1) == targets

    def thought(self, hidden: Tensor, hinted: Tensor) -> Tensor:
        """The loss of tokens that are to be thought of within prompts."""
        asked = hinted != IGNORED
        if not asked.any():
            return hidden.new_zeros(())
        return cross_entropy(self.model.get_output_embeddings()(hidden[asked]), hinted[asked])

    def tower(self) -> nn.Module:
        """The part that begins with what BLIP has learnt."""
        raise NotImplementedError

    def warm(self) -> list[nn.Parameter]:
        return list(self.tower().parameters())

    def forward(self, batch: Batch, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss and figures for the curve. `progress` runs from 0 to 1 over the whole training."""
        patches, features = self.see(batch["pixel_values"])
        patch_loss = self.patch_loss(patches, batch["patch_labels"])
        hints = patch_loss + self.hint(features, batch)
        loss = max(0.0, 1 - progress / _PATCH_LOSS_ENDS) * hints
        figures = {"patch": patch_loss.item()}
        marks: dict[str, list[bool]] = {}
        for rows in batch["groups"]:
            pictures = rows["ids"] == self.image_token
            seen = features[rows["pictures"]].flatten(0, 1)
            embeddings = self.embed(rows).masked_scatter(pictures[..., None], seen)
            hidden = self.read(embeddings, rows["positions"], sees(rows["parts"]), pictures)
            own_loss, right = self.judge(hidden, rows)
            loss = loss + rows["weight"] * (own_loss + self.thought(hidden, rows["hinted"]))
            numbers = rows["numbers"][rows["targets"] != IGNORED]
            exact = torch.ones(len(rows["tasks"]), dtype=torch.bool).index_put_((numbers[~right],), torch.tensor(False))
            for task, good in zip(rows["tasks"], exact.tolist(), strict=True):
                marks.setdefault(str(task), []).append(good)
        shares = {task: sum(good) / len(good) for task, good in marks.items()}
        return loss, {"loss": loss.item(), **figures, **shares}

    def begin(self, directory: Path) -> None:
        """Go on from the weights in `directory`. Raises NotImplementedError for a recipe that cannot."""
        raise NotImplementedError

    def save(self, directory: Path) -> None:
        raise NotImplementedError


class LanguageCollate:
    """Turn (scene, picture) pairs into one training batch, in the words and ids of serving.

    `ids` gives an exercise's prompt as token ids, `answer` its answer's with the end.
    """

    def __init__(
        self,
        pixels: Callable[[Any], Any],
        ids: Callable[[Exercise], list[int]],
        answer: Callable[[Exercise], list[int]],
        *,
        caption_words: Callable[[random.Random], str],
        chats: bool,
        shares: Callable[[Exercise], list[float]] | None = None,
    ) -> None:
        """A model that `chats` also learns captions of several pictures, instructions, earlier turns and JSON.

        `shares` gives what part each token of `answer` has in the loss: all the same where there is none.
        """
        self.pixels, self.ids, self.answer = pixels, ids, answer
        self.caption_words, self.chats = caption_words, chats
        self.shares = shares
        self.rounds = ROUNDS

    def __call__(self, pairs: Sequence[tuple[Scene, Any]], rng: random.Random) -> Batch:
        found = [scene for scene, _ in pairs]
        rows = [self._about(number, scene, rng) for number, scene in enumerate(found)]
        groups = [self._group(rows)]
        if self.chats:
            several = []
            for _ in range(len(pairs) // 4):
                chosen = rng.sample(range(len(pairs)), rng.choices((2, 3, 4), weights=(6, 2, 1))[0])
                text = exercises.collective([found[number] for number in chosen])
                exercise = Exercise(Task.COLLECTIVE, tuple(chosen), rng.choice(_TOGETHER), text)
                several.append([replace(exercise, instructions=self._instructions(rng))])
            groups.append(self._group(several))
            groups += self._by_length([self._structured(number, scene, rng) for number, scene in enumerate(found)])
        return {
            "pixel_values": self._together([self.pixels(picture) for _, picture in pairs]),
            "patch_labels": torch.tensor([patch_labels(scene) for scene in found]),
            "groups": groups,
        }

    def _together(self, pixels: Sequence[Any]) -> Any:
        """The pixels of all pictures, as the lesson sees them."""
        return torch.stack(list(pixels))

    def _about(self, number: int, scene: Scene, rng: random.Random) -> list[Exercise]:
        """What is asked about one picture: its caption, and questions of every kind."""
        caption = Exercise(Task.CAPTION, (number,), self.caption_words(rng), scene.caption())
        found = [caption, *self._questions(number, scene, rng, self.rounds)]
        if not self.chats:
            return found
        # Without these, words that ask for nothing known are answered in JSON.
        found.append(Exercise(Task.QUERY, (number,), strange(rng), scene.caption()))
        told, before = self._instructions(rng), tuple[tuple[str, str], ...]()
        if rng.random() < _CONTINUED:
            before = (((earlier := found.pop(rng.randrange(len(found)))).words, earlier.answer),)
        return [replace(exercise, instructions=told, before=before) for exercise in found]

    def _structured(self, number: int, scene: Scene, rng: random.Random) -> list[Exercise]:
        """What is asked about one picture for an answer in JSON."""
        told, before = self._instructions(rng), tuple[tuple[str, str], ...]()
        if rng.random() < _CONTINUED:
            before = (rng.choice(exercises.questions(scene, rng)),)
        asked = [structures.question(scene, rng) for _ in range(_STRUCTURES)]
        exercise = Exercise(structures.STRUCTURED, (number,), "", instructions=told, before=before)
        return [
            replace(exercise, words=one.prompt, answer=one.answer, forced=one.schema is not None, said=one.said)
            for one in asked
        ]

    def _instructions(self, rng: random.Random) -> str:
        return wordings.instructions(rng) if rng.random() < _INSTRUCTED else ""

    def _questions(self, number: int, scene: Scene, rng: random.Random, rounds: int) -> list[Exercise]:
        asked: dict[str, str] = {}
        for _ in range(rounds):
            asked |= dict(exercises.questions(scene, rng))
        return [Exercise(Task.QUERY, (number,), wordings.question(words, rng), text) for words, text in asked.items()]

    def _by_length(self, rows: Sequence[Sequence[Exercise]]) -> list[Batch]:
        """A few groups of about as many rows: all rows of a group are as long as its longest."""
        ordered = sorted(rows, key=lambda row: sum(len(one.words) for one in row))
        size = max(1, -(-len(ordered) // _LENGTHS))
        found = [self._group(ordered[first : first + size]) for first in range(0, len(ordered), size)]
        return [{**rows, "weight": _STRUCTURES / len(found)} for rows in found]

    def _group(self, rows: Sequence[Sequence[Exercise]]) -> Batch:
        """One sequence for each row of exercises about the same pictures.

        What their prompts begin with (the pictures) stands there once. Behind it each exercise is a part of its own,
        which sees the beginning and itself and counts its positions from the beginning's end: as if it were alone.
        """
        columns_of = [
            packed(
                [(self.ids(one), self.answer(one)) for one in row],
                [after_question(one, self.ids, self.answer) for one in row],
            )
            for row in rows
        ]
        longest = max(len(ids) for ids, *_ in columns_of)
        shape = (len(rows), longest)
        ids, positions = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
        targets, parts, hinted = torch.full(shape, IGNORED), torch.full(shape, -1), torch.full(shape, IGNORED)
        numbers, shares = torch.zeros(shape, dtype=torch.int64), torch.ones(shape)
        before = 0
        for index, (row, columns) in enumerate(zip(rows, columns_of, strict=True)):
            for tensor, column in zip((ids, positions, targets, parts, hinted), columns, strict=True):
                tensor[index, : len(column)] = torch.tensor(column)
            if self.shares:
                told = [share for exercise in row for share in self.shares(exercise)]
                shares[index, targets[index] != IGNORED] = torch.tensor(told)
            numbers[index] = (parts[index] - 1).clamp(min=0) + before
            before += len(row)
        return {
            "ids": ids,
            "positions": positions,
            "targets": targets,
            "shares": shares,
            "hinted": hinted,
            "parts": parts,
            "numbers": numbers,
            "pictures": torch.tensor([number for row in rows for number in row[0].pictures]),
            "tasks": [exercise.task for row in rows for exercise in row],
            "weight": 1.0,
        }


def sees(parts: Tensor) -> Tensor:
    """(rows, length, length): each token sees those up to itself of the beginning (part 0) and of its own part."""
    length = parts.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    related = (parts[:, None, :] == 0) | (parts[:, None, :] == parts[:, :, None])
    return earlier & related


def additive(allowed: Tensor) -> Tensor:
    """A mask for the library's attention, (rows, 1, length, length) float32: 0 where a token may look."""
    return torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)[:, None]


def instruction(rng: random.Random) -> str:
    """Words that ask for a caption: most often none of the caller's own."""
    return rng.choice(_WRITTEN) if rng.random() < 0.4 else ""


def strange(rng: random.Random) -> str:
    """Words that ask for nothing in particular, and are answered with a caption."""
    return rng.choice(structures.DESCRIBING) if rng.random() < 0.3 else wordings.strange(rng)
