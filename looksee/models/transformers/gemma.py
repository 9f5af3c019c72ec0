"""Gemma 3 (Gemma Team 2025, arXiv:2503.19786): pictures in a turn of a chat, seen whole by the tokens of each."""

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
from looksee.models.transformers.decoder import ends
from looksee.models.transformers.vision_language import VisionLanguageModel


def chat(tokenizer: Any, template: str) -> Chat:
    """How Gemma writes a chat: a picture stands between its marks, with an empty line before and behind."""
    return Chat(
        tokenizer,
        template,
        placeholder=tokenizer.boi_token,
        before=f"\n\n{tokenizer.boi_token}",
        after=f"{tokenizer.eoi_token}\n\n",
        image=tokenizer.image_token_id,
    )


class Gemma(VisionLanguageModel):
    """A loaded Gemma 3. A picture costs its tokens."""

    processor_class = Gemma3ImageProcessorPil

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype, feature_bytes: int = 0) -> None:
        super().__init__(directory, device=device, dtype=dtype, feature_bytes=feature_bytes)
        self.decoder = self.net.model.language_model
        self.window: int = self.net.config.text_config.sliding_window
        self.picture_tokens: int = self.net.config.mm_tokens_per_image
        self.ends = ends(self.net)
        self.chat = chat(self.tokenizer, self.tokenizer.chat_template)

    def crops(self, picture: Image.Image) -> Tensor:
        return self.pixels(picture)[None]

    def prompt(self, job: Job, crops: Sequence[int]) -> list[int]:
        return self.chat.ids(job.prompt, [count * self.picture_tokens for count in crops], job.turns)

    def cost(self, crops: int) -> int:
        return crops * self.picture_tokens

    def prompt_mask(self, mask: Tensor, pictures: Tensor) -> dict[str, Tensor]:
        """A mask for each kind of layer: a picture's tokens see each other, also the later ones.

        The library would make the same of `token_type_ids`, but with functions of single positions mapped over all of
        them (vmap), which takes longer than the sample weights' decoder needs for a picture.
        """
        seen = masks.prompt(mask, pictures)
        full = sliding = masks.additive(seen, self.dtype)
        if mask.shape[1] > self.window:
            sliding = masks.additive(masks.windowed(seen, self.window), self.dtype)
        return {"full_attention": full, "sliding_attention": sliding}
