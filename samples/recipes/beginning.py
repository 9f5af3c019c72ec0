"""Begin a training with weights that were trained before, also where the vocabulary has grown since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer


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
