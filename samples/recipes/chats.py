"""What recipes share: an exercise's words and turns, a chat's files, and going on from weights that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from looksee.core.tasks import Task, Turn
from looksee.models.registry import prompts
from samples.world.exercises import Exercise


def save_chat(
    directory: Path, model: Any, words: Any, template: str, image_processor: Any, *, processor: str, tokens: int
) -> None:
    """Write a checkpoint that answers in a chat, in the published layout; a picture has so many `tokens`."""
    model.save_pretrained(directory)
    words.chat_template = template
    words.save_pretrained(directory)
    image_processor.save_pretrained(directory)
    record = {"processor_class": processor, "image_seq_length": tokens}
    (directory / "processor_config.json").write_text(json.dumps(record, indent=2) + "\n")


def turns(model: str, exercise: Exercise) -> tuple[Turn, ...]:
    """The exercise as the turns of a chat, as serving puts them to `model`."""
    first = [Turn("system", (exercise.instructions,))] if exercise.instructions else []
    asked_words = [*(question for question, _ in exercise.before), asked(model, exercise)]
    users = [Turn("user", (words,)) for words in asked_words]
    users[0] = Turn("user", (*(None for _ in exercise.pictures), asked_words[0]))
    said = [Turn("assistant", (answer,)) for _, answer in exercise.before]
    return (*first, *(turn for pair in zip(users, said, strict=False) for turn in pair), users[-1])


def asked(model: str, exercise: Exercise) -> str:
    """The exercise's words as serving puts them to `model`."""
    if exercise.task is Task.CAPTION:
        return prompts.caption(model, exercise.words)
    if exercise.task is Task.COLLECTIVE:
        return prompts.collective(model, exercise.words)
    return prompts.query(model, exercise.words)


def begin(model: Any, words: Any, directory: Path) -> None:
    """Load `directory`'s weights into `model`, whose tokenizer is `words`.

    Rows of the vocabulary are found by their token. A token that the old vocabulary lacks begins as the mean of those
    that spelt it.
    """
    old = AutoTokenizer.from_pretrained(directory)
    rows = [torch.tensor(_spelt(token, words, old)) for token in words.convert_ids_to_tokens(range(len(words)))]

    def with_all_words(part: Tensor) -> Tensor:
        return torch.stack([part[row].mean(0) for row in rows]) if part.shape[:1] == (len(old),) else part

    learnt = type(model).from_pretrained(directory).state_dict()
    model.load_state_dict({name: with_all_words(part) for name, part in learnt.items()})


def _spelt(token: str, words: Any, old: Any) -> list[int]:
    """The old ids of a token."""
    known: dict[str, int] = old.get_vocab()
    if token in known:
        return [known[token]]
    ids: list[int] = old(words.convert_tokens_to_string([token]), add_special_tokens=False).input_ids
    return ids
