"""The sample Moondream's configuration and tokenizer."""

from __future__ import annotations

import functools
import random

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from looksee.models.moondream.config import (
    Config,
    RegionConfig,
    Template,
    Templates,
    TextConfig,
    TokenizerConfig,
    VisionConfig,
)
from samples.recipes import bpe
from samples.recipes.tower import GRID, HEADS, IMAGE_SIZE, INNER_WIDTH, LAYERS, PATCH_SIZE, WIDTH
from samples.world import exercises, scenes, wordings

_SPECIAL = ("<|endoftext|>", *(f"<|md_reserved_{number}|>" for number in range(20)))


@functools.cache
def tokenizer() -> Tokenizer:
    """Byte-level BPE of what is said in the drawn world."""
    learnt, merges = bpe.byte_level(430, _sentences(), lowercase=True)
    words = Tokenizer(models.BPE(vocab=bpe.behind(_SPECIAL, learnt), merges=merges))
    words.normalizer = normalizers.Lowercase()  # people write "Red Circle"
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in _SPECIAL])
    return words


def _sentences() -> list[str]:
    """What this model alone is asked and says; an answer begins with a space, so that its first word is like any."""
    rng = random.Random(8)
    found = [f" {word}" for word in ("describe", "short", "normal", "long", "query", "detect", "point")] * 200
    for _ in range(500):
        scene = scenes.compose(rng)
        found += [f" {wordings.name(words, rng)}" for words in exercises.searches(scene, rng)]
        found += [f" {scene.short_caption()}", f" {scene.caption()}", f" {scene.long_caption()}"]
    return found


def encoded(text: str) -> tuple[int, ...]:
    """The ids of a text, without special tokens."""
    return tuple(tokenizer().encode(text, add_special_tokens=False).ids)


def config() -> Config:
    """A small Moondream2 of the published architecture."""

    def skill(word: str) -> Template:
        return Template((1, *encoded(f" {word}"), 2), (3,))

    lengths = {word: (1, *encoded(" describe"), 2, *encoded(f" {word}"), 3) for word in ("short", "normal", "long")}
    return Config(
        TextConfig(
            dim=WIDTH,
            ff_dim=INNER_WIDTH,
            n_layers=4,
            n_heads=4,
            vocab_size=tokenizer().get_vocab_size(),
            prefix_attn=GRID**2 + 1,
        ),
        VisionConfig(
            enc_dim=WIDTH,
            enc_patch_size=PATCH_SIZE,
            enc_n_layers=LAYERS,
            enc_ff_dim=INNER_WIDTH,
            enc_n_heads=HEADS,
            proj_out_dim=WIDTH,
            crop_size=IMAGE_SIZE,
            max_crops=3,  # most scenes then have a single local crop, and one in six has two
            overlap_margin=1,
            proj_inner_dim=INNER_WIDTH,
        ),
        RegionConfig(
            dim=WIDTH, coord_feat_dim=64, coord_out_dim=256, size_feat_dim=64, size_out_dim=256, inner_dim=WIDTH
        ),
        TokenizerConfig(templates=Templates(lengths, skill("query"), skill("detect"), skill("point"))),
    )
