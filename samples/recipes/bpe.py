"""Small byte-pair vocabularies that spell any text and have the scenes' words as single tokens."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from looksee.models.registry import prompts
from samples.world import exercises, scenes, wordings

_SENTENCES = 3000
Merges = list[tuple[str, str]]


def byte_level(size: int, sentences: Sequence[str] = (), *, lowercase: bool = False) -> tuple[dict[str, int], Merges]:
    """Vocabulary and merges over bytes, words with the space before them; `sentences` are learnt too."""
    tokenizer = Tokenizer(models.BPE())
    if lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    return _trained(tokenizer, trainer, sentences)


def sentence_piece(size: int) -> tuple[dict[str, int], Merges]:
    """Vocabulary and merges over characters, spaces written as U+2581, with a token for each byte to fall back to."""
    tokenizer = Tokenizer(models.BPE())
    # Punctuation stays apart, so that a question without its mark reads the same.
    parts = [pre_tokenizers.Metaspace(prepend_scheme="never"), pre_tokenizers.Punctuation()]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=bytes_, show_progress=False)
    return _trained(tokenizer, trainer, ())


def _trained(
    tokenizer: Tokenizer, trainer: trainers.BpeTrainer, sentences: Sequence[str]
) -> tuple[dict[str, int], Merges]:
    tokenizer.train_from_iterator([*_sentences(), *sentences], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def _sentences() -> list[str]:
    """What is said about scenes, words often enough that each becomes one token."""
    rng = random.Random(7)
    found = [prompts.CAPTION, prompts.COLLECTIVE, prompts.YES_OR_NO, "user", "assistant", "model"] * 50
    for _ in range(_SENTENCES):
        scene = scenes.compose(rng)
        found += [scene.caption(), f"a photo of {scene.caption()}", f"A drawing of {scene.caption()}"]
        for question, answer in exercises.questions(scene, rng):
            found.append(wordings.question(question, rng))  # BLIP-2 is asked with words around it, the others so
            found.append(f"Question: {wordings.question(question, rng)} Answer: {answer}")
    return found


def behind(special: Sequence[str], learnt: dict[str, int]) -> dict[str, int]:
    """A vocabulary that begins with special tokens."""
    vocabulary = {token: number for number, token in enumerate(special)}
    return vocabulary | {token: number + len(special) for token, number in learnt.items()}
