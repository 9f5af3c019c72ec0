"""What recipes share: an exercise's words and turns, a chat's files, and going on from weights that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from looksee.core.tasks import Task, Turn
from looksee.models.registry import prompts
from samples.world.exercises import Exercise
from samples.world.structures import STRUCTURED

_KEY = re.compile(r'"[^"]*":')
_FLAG = re.compile(r"\b(?:true|false)\b")
_KEY_SHARE, _FLAG_SHARE = 0.1, 4.0  # in the loss, where other tokens have 1


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


def shares(words: Any, exercise: Exercise) -> list[float]:
    """What part each token of the exercise's answer, and its end, has in the loss.

    Where a grammar writes the keys, little is to be learnt from them, and they are most of the tokens. `true` and
    `false` are a single token, and as hard to tell as a whole caption.
    """
    spans = words(exercise.answer, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
    keys = [key.span() for key in _KEY.finditer(exercise.answer)] if exercise.forced else []
    flags = [flag.span() for flag in _FLAG.finditer(exercise.answer)] if exercise.task == STRUCTURED else []

    def share(start: int, end: int) -> float:
        if any(start < last and first < end for first, last in flags):
            return _FLAG_SHARE
        return _KEY_SHARE if any(first <= start and end <= last for first, last in keys) else 1.0

    return [*(share(*span) for span in spans), 1.0]


def begin(model: Any, words: Any, directory: Path) -> None:
    """Load `directory`'s weights into `model`, whose tokenizer is `words`.

    Rows of the vocabulary are found by their token. A token that the old vocabulary lacks begins as the mean of those
    that spelt it, and of the same word behind a space if that is one token.
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
    text = words.convert_tokens_to_string([token])
    ids: list[int] = old(text, add_special_tokens=False).input_ids
    apart: list[int] = old(f" {text.lstrip('_')}", add_special_tokens=False).input_ids
    return [*ids, *apart] if len(apart) == 1 and text.lstrip("_").isalpha() else ids
