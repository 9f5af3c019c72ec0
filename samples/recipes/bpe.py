"""Small byte-pair vocabularies that spell any text and have the scenes' words as single tokens."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Sequence
from itertools import pairwise

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from looksee.models.registry import prompts
from samples.world import exercises, scenes, wordings

_SENTENCES = 3000
_MARKS = '{" ": ~" ", ~{" {"$ "} "}} "}, "}}, ~[" "] "], "]} }, }} }}, ~[{" "}] "}], ~"#/$'  # ~ is a space
_KEYWORDS = (
    "type string integer boolean number array object properties required title description additionalProperties items "
    "enum anyOf null defs ref minimum maximum exclusiveMinimum true false schema"
)
_NAMES = (
    "caption count color colour shape answer name kind label tag keyword thing item value output result response "
    "summary text alt total image picture present found exists match contains has the there left right how what of to"
)
_TITLES = (
    "Caption Count Color Colour Shape Answer Name Kind Label Tag Keyword Thing Item Value Output Result Response "
    "Summary Text Total Image Picture Scene Object Title Type Description Number Has The All How"
)
_BEHIND_SPACES = (
    "Circle Square Triangle Cross Red Green Blue Yellow Purple Black Is There Present JSON Schema object keys fields "
    "other text follows only with left right number image true false"
)
_OF_SCENES = "red green blue yellow purple black circle square triangle cross"

# What JSON about scenes is spelt with: without these a prompt has 2.5 times as many tokens. Characters that a small
# vocabulary may lack come first.
JSON_WORDS = (
    *(mark for mark in string.printable if not mark.isspace()),
    *(mark.replace("~", " ") for mark in _MARKS.split()),
    *_KEYWORDS.split(),
    *_NAMES.split(),
    *_TITLES.split(),
    *(f" {word}" for word in _BEHIND_SPACES.split()),
    *(f"_{word}" for word in _OF_SCENES.split()),
    *_OF_SCENES.title().split(),
)

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


def with_words(
    learnt: tuple[dict[str, int], Merges], words: Sequence[str], *, space: str
) -> tuple[dict[str, int], Merges]:
    """A vocabulary with each of these words as one token too, their merges behind all others.

    So what was one token before still is. `space` is how the vocabulary writes one.
    """
    vocabulary, merges = dict(learnt[0]), list(learnt[1])
    for word in words:
        parts = _parts(word.replace(" ", space), merges)
        for part in parts:
            vocabulary.setdefault(part, len(vocabulary))
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1], *parts[2:]]
            vocabulary.setdefault(parts[0], len(vocabulary))
    return vocabulary, merges


def _parts(word: str, merges: Merges) -> list[str]:
    """The tokens of a word: neighbours are merged, the earliest merge first."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    parts = list(word)
    while pairs := [pair for pair in pairwise(parts) if pair in ranks]:
        best = min(pairs, key=ranks.__getitem__)
        number = 0
        while number < len(parts) - 1:
            if (parts[number], parts[number + 1]) == best:
                parts[number : number + 2] = ["".join(best)]
            number += 1
    return parts
