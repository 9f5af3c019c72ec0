"""Gemma 3 (Gemma Team 2025, arXiv:2503.19786): images in a turn of a chat, each attended to as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import Gemma3ImageProcessorPil

from looksee.core.tasks import Job
from looksee.models.transformers import masks
from looksee.models.transformers.chat import Chat
from looksee.models.transformers.decoder import eos_token_ids
from looksee.models.transformers.vision_language import VisionLanguageModel


def chat(tokenizer: Any, template: str) -> Chat:
    """Gemma's chat: an image is between its begin and end tokens, with an empty line before and after."""
    return Chat(
        tokenizer,
        template,
        placeholder=tokenizer.boi_token,
        before=f"\n\n{tokenizer.boi_token}",
        after=f"{tokenizer.eoi_token}\n\n",
        image_token_id=tokenizer.image_token_id,
    )


class Gemma(VisionLanguageModel):
    """A loaded Gemma 3. A row costs its image tokens."""

    processor_class = Gemma3ImageProcessorPil

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype, feature_bytes: int = 0) -> None:
        super().__init__(directory, device=device, dtype=dtype, feature_bytes=feature_bytes)
        self.decoder = self.net.model.language_model
        self.window: int = self.net.config.text_config.sliding_window
        self.image_tokens: int = self.net.config.mm_tokens_per_image
        self.eos_ids = eos_token_ids(self.net)
        self.chat = chat(self.tokenizer, self.tokenizer.chat_template)

    def crops(self, image: Image.Image) -> Tensor:
        return self.pixels(image)[None]

    def prompt(self, job: Job, crops: Sequence[int]) -> list[int]:
        return self.chat.ids(job.prompt, [count * self.image_tokens for count in crops], job.turns)

    def cost(self, crops: int) -> int:
        return crops * self.image_tokens

    def prompt_mask(self, mask: Tensor, is_image: Tensor) -> dict[str, Tensor]:
        """An additive mask (rows, 1, length, length) for each kind of layer; an image's tokens attend to each other.

        transformers would make the same of `token_type_ids`, but by functions of single positions mapped over all of
        them (vmap), which takes longer than the sample weights' decoder needs for an image.
        """
        attended = masks.prefix_lm(mask, is_image)
        full = sliding = masks.additive(attended, self.dtype)
        if mask.shape[1] > self.window:
            sliding = masks.additive(masks.sliding(attended, self.window), self.dtype)
        return {"full_attention": full, "sliding_attention": sliding}
