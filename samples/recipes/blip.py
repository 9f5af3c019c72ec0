"""How the BLIP sample weights are made: a small BLIP of the published architecture, taught to caption scenes.

Besides the caption loss there are two that exist only in training: each picture patch also says which coloured shape
covers it, and which of the things, from left to right, that is. They fade out. Without them (and with the library's
initial weights of std 0.02) the decoder learns the language long before it looks at the picture.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessorPil, BlipProcessor

from samples.recipes.tower import (
    HEADS,
    IGNORED,
    IMAGE_SIZE,
    INNER_WIDTH,
    LAYERS,
    PATCH_SIZE,
    WIDTH,
    PatchLoss,
    cross_entropy,
    patch_labels,
)
from samples.world import exercises
from samples.world.scenes import COLOURS, SHAPES, Scene

STEPS, BATCH_SIZE = 4400, 48
_INITIAL_STD = 0.05
_PATCH_LOSS_WEIGHT = 1.0
_PATCH_LOSS_ENDS = 0.9  # of the training

_WORDS = (
    *COLOURS,
    *SHAPES,
    *"a an and of the photo drawing picture image painting sketch there is are one two three shape shapes".split(),
    *"in on with this that shows showing what left right middle".split(),
)


def tokenizer() -> BertTokenizer:
    """WordPiece over the scenes' words and single letters, so that any prompt can be spelt."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,;:!?'\"-()", *letters, *(f"##{c}" for c in letters)]
    tokens += [word for word in _WORDS if word not in tokens]
    return BertTokenizer(vocab={token: number for number, token in enumerate(tokens)})


def processor() -> BlipProcessor:
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return BlipProcessor(BlipImageProcessorPil(size=size), tokenizer())


def config() -> BlipConfig:
    words = len(tokenizer())
    shared: dict[str, Any] = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "initializer_range": _INITIAL_STD}
    return BlipConfig(
        text_config={
            **shared,
            "vocab_size": words + 2,  # as published, [DEC] and [ENC] come after the tokenizer's last word
            "encoder_hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 2,
            "max_position_embeddings": 64,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "bos_token_id": words,
            "pad_token_id": 0,
            "eos_token_id": 2,
            "sep_token_id": 3,
        },
        vision_config={
            **shared,
            "intermediate_size": INNER_WIDTH,
            "num_hidden_layers": LAYERS,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
        },
        projection_dim=WIDTH,
        image_text_hidden_size=WIDTH,
    )


class BlipLesson(nn.Module):
    """The model under training and its training-only patch heads."""

    def __init__(self) -> None:
        super().__init__()
        self.model = BlipForConditionalGeneration(config())
        self.patch_loss = PatchLoss()

    def warm(self) -> list[nn.Parameter]:
        return []  # this model learns everything from nothing

    def forward(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss and figures for the curve. `progress` runs from 0 to 1 over the whole training."""
        seen = self.model.vision_model(pixel_values=batch["pixel_values"]).last_hidden_state
        logits = self.model.text_decoder(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], encoder_hidden_states=seen
        ).logits[:, :-1]
        labels = batch["labels"][:, 1:]
        caption_loss = cross_entropy(logits, labels)
        patch_loss = self.patch_loss(seen[:, 1:], batch["patch_labels"])
        right = ((logits.argmax(-1) == labels) | (labels == IGNORED)).all(-1)
        loss = caption_loss + _PATCH_LOSS_WEIGHT * max(0.0, 1 - progress / _PATCH_LOSS_ENDS) * patch_loss
        return loss, {"caption": caption_loss.item(), "patch": patch_loss.item(), "exact": right.float().mean().item()}

    def save(self, directory: Path) -> None:
        """Write the checkpoint in the published layout; the patch heads are left behind."""
        self.model.save_pretrained(directory)
        parts = processor()
        parts.image_processor.save_pretrained(directory)
        parts.tokenizer.save_pretrained(directory)
        words = sorted(parts.tokenizer.get_vocab().items(), key=lambda item: item[1])
        (directory / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words))


class BlipCollate:
    """Turn (scene, picture) pairs into one training batch, through the processor that serving uses."""

    def __init__(self) -> None:
        self.processor = processor()
        self.start = config().text_config.bos_token_id

    def __call__(self, pairs: Sequence[tuple[Scene, Any]], rng: random.Random) -> dict[str, Tensor]:
        pixels = self.processor.image_processor([picture for _, picture in pairs], return_tensors="pt").pixel_values
        texts, skipped = [], []
        for scene, _ in pairs:
            prefix = exercises.beginning(rng, _WORDS)
            texts.append(f"{prefix} {scene.caption()}".strip())
            skipped.append(len(self.processor.tokenizer(prefix, add_special_tokens=False).input_ids))
        ids = self.processor.tokenizer(texts, padding=True, return_tensors="pt")
        input_ids, mask = ids.input_ids.clone(), ids.attention_mask
        input_ids[:, 0] = self.start
        labels = input_ids.masked_fill(mask == 0, IGNORED)
        for row, count in enumerate(skipped):
            labels[row, : 1 + count] = IGNORED
        patches = torch.tensor([patch_labels(scene) for scene, _ in pairs])
        return {
            "pixel_values": pixels,
            "input_ids": input_ids,
            "attention_mask": mask,
            "labels": labels,
            "patch_labels": patches,
        }


LESSON, COLLATE = BlipLesson, BlipCollate
