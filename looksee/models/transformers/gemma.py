"""Gemma 3 (Gemma Team 2025, arXiv:2503.19786): images in a turn of a chat, each attended to as a whole."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import Gemma3ImageProcessorPil

from looksee.core.tasks import Job
from looksee.models.core import masks
from looksee.models.core.passes import Window
from looksee.models.decoders.gemma3 import Gemma3Decoder
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

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype, **kept: int) -> None:
        """`kept`: `feature_bytes` and `prefix_bytes`."""
        super().__init__(directory, device=device, dtype=dtype, **kept)
        self.decoder = Gemma3Decoder(self.net.model.language_model, self.net.lm_head).eval()
        self.use_decoder(self.decoder, dtype)
        self.image_tokens: int = self.net.config.mm_tokens_per_image
        # Patches come out of a convolution as a transposed view and stay one in all residuals; each LayerNorm would
        # copy them.
        self.net.model.vision_tower.embeddings.register_forward_hook(lambda module, inputs, output: output.contiguous())
        self.eos_ids = eos_token_ids(self.net)
        self.chat = chat(self.tokenizer, self.tokenizer.chat_template)

    @property
    def image_slots(self) -> int:
        return self.image_tokens

    def crops(self, image: Image.Image) -> Tensor:
        return self.pixels(image)[None]

    def prompt(self, job: Job, crops: Sequence[int]) -> list[int]:
        return self.chat.ids(job.prompt, [count * self.image_tokens for count in crops], job.turns)

    def cost(self, crops: int) -> int:
        return crops * self.image_tokens

    def prompt_mask(self, is_image: Tensor) -> Callable[[Window], Tensor]:
        """An image's tokens attend to each other. A mask is made once for each kind of layer that needs its own."""
        longest = is_image.shape[1]

        @functools.cache
        def mask(window: Window) -> Tensor:
            attended = masks.prefix_lm(is_image.to(self.device), window)
            return masks.additive(attended, self.dtype)

        return lambda window: mask(None if window is None or longest <= window else window)
