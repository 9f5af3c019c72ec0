"""Teaching a model whose language part reads a picture's features among its tokens: BLIP-2, Gemma 3, InternVL3.

A picture is seen once and serves several exercises of the batch: its caption, questions about it, and captions of
several pictures together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from samples import exercises
from samples.exercises import Exercise
from samples.scenes import Scene
from samples.tower import IGNORED, PatchLoss, cross_entropy, patch_labels
from vision.tasks import Task

QUESTIONS = 2  # about each picture
_PATCH_LOSS_ENDS = 0.5  # of the training
_WRITTEN = ("Describe this image.", "describe the picture", "What do you see?", "Write a caption.", "caption", "")
_TOGETHER = ("Describe the pictures.", "One caption for all the images", "Describe all the images.", "", "", "")

Batch = dict[str, Any]


class Lesson(nn.Module):
    """A model under training. A recipe says how it sees and reads."""

    model: Any
    image_token: int

    def __init__(self) -> None:
        super().__init__()
        self.patch_loss = PatchLoss()

    def see(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (pictures, patches, width) and features (pictures, tokens, text width)."""
        raise NotImplementedError

    def read(self, ids: Tensor, embeddings: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (rows, length, width) of rows that are padded on the right."""
        raise NotImplementedError

    def tower(self) -> nn.Module:
        """The part that begins with what BLIP has learnt."""
        raise NotImplementedError

    def warm(self) -> list[nn.Parameter]:
        return list(self.tower().parameters())

    def forward(self, batch: Batch, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss and figures for the curve. `progress` runs from 0 to 1 over the whole training."""
        patches, features = self.see(batch["pixel_values"])
        patch_loss = self.patch_loss(patches, batch["patch_labels"])
        loss = max(0.0, 1 - progress / _PATCH_LOSS_ENDS) * patch_loss
        figures = {"patch": patch_loss.item()}
        for rows in batch["groups"]:
            ids = rows["input_ids"]
            embeddings = self.model.get_input_embeddings()(ids)
            pictures = features[rows["pictures"]].flatten(0, 1).to(embeddings.dtype)
            embeddings = embeddings.masked_scatter((ids == self.image_token)[..., None], pictures)
            hidden = self.read(ids, embeddings, rows["attention_mask"])[:, :-1]
            labels = rows["labels"][:, 1:]
            asked = labels != IGNORED
            logits = self.model.get_output_embeddings()(hidden[asked])
            loss = loss + cross_entropy(logits, labels[asked])
            wrong = torch.zeros_like(labels, dtype=torch.bool)
            wrong[asked] = logits.argmax(-1) != labels[asked]
            exact = (~wrong.any(-1)).float()
            for task in dict.fromkeys(rows["tasks"]):
                own = torch.tensor([other == task for other in rows["tasks"]])
                figures[str(task)] = exact[own].mean().item()
        return loss, {"loss": loss.item(), **figures}

    def save(self, directory: Path) -> None:
        raise NotImplementedError


class Collate:
    """Turn (scene, picture) pairs into one training batch, in the words and ids of serving.

    `ids(task, words, pictures)` gives a prompt's token ids for that many pictures, `answer(task, words, text)` those
    of an answer with its end.
    """

    def __init__(
        self,
        pixels: Callable[[Any], Tensor],
        ids: Callable[[Task, str, int], list[int]],
        answer: Callable[[str], list[int]],
        *,
        caption_words: Callable[[random.Random], str],
        collectives: bool,
    ) -> None:
        self.pixels, self.ids, self.answer = pixels, ids, answer
        self.caption_words, self.collectives = caption_words, collectives

    def __call__(self, pairs: Sequence[tuple[Scene, Any]], rng: random.Random) -> Batch:
        found = [scene for scene, _ in pairs]
        single = []
        for number, scene in enumerate(found):
            single.append(Exercise(Task.CAPTION, (number,), self.caption_words(rng), scene.caption()))
            asked = exercises.questions(scene, rng)
            for question, answer in rng.sample(asked, min(QUESTIONS, len(asked))):
                single.append(Exercise(Task.QUERY, (number,), exercises.varied(question, rng), answer))
        groups = [self._group(single)]
        if self.collectives:
            several = []
            for _ in range(len(pairs) // 4):
                chosen = rng.sample(range(len(pairs)), rng.choices((2, 3, 4), weights=(6, 2, 1))[0])
                text = exercises.collective([found[number] for number in chosen])
                several.append(Exercise(Task.COLLECTIVE, tuple(chosen), rng.choice(_TOGETHER), text))
            groups.append(self._group(several))
        return {
            "pixel_values": torch.stack([self.pixels(picture) for _, picture in pairs]),
            "patch_labels": torch.tensor([patch_labels(scene) for scene in found]),
            "groups": groups,
        }

    def _group(self, chosen: Sequence[Exercise]) -> Batch:
        rows = []
        for exercise in chosen:
            prompt = self.ids(exercise.task, exercise.words, len(exercise.pictures))
            rows.append((prompt, self.answer(exercise.answer)))
        longest = max(len(prompt) + len(answer) for prompt, answer in rows)
        input_ids = torch.zeros(len(rows), longest, dtype=torch.int64)
        mask, labels = torch.zeros_like(input_ids), torch.full_like(input_ids, IGNORED)
        for number, (prompt, answer) in enumerate(rows):
            whole = torch.tensor(prompt + answer)
            input_ids[number, : len(whole)] = whole
            mask[number, : len(whole)] = 1
            labels[number, len(prompt) : len(whole)] = whole[len(prompt) :]
        return {
            "input_ids": input_ids,
            "attention_mask": mask,
            "labels": labels,
            "pictures": torch.tensor([number for exercise in chosen for number in exercise.pictures]),
            "tasks": [exercise.task for exercise in chosen],
        }


def instruction(rng: random.Random) -> str:
    """Words that ask for a caption: most often none of the caller's own."""
    return rng.choice(_WRITTEN) if rng.random() < 0.4 else ""
