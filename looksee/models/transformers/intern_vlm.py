"""InternVL3 (Zhu et al. 2025, arXiv:2504.10479): images as one or several tiles, in a turn of a Qwen2.5 chat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import GotOcr2ImageProcessorPil

from looksee.core.tasks import Job
from looksee.models.decoders.qwen2 import Qwen2Decoder
from looksee.models.transformers.chat import Chat
from looksee.models.transformers.decoder import eos_token_ids
from looksee.models.transformers.images.tiles import grid
from looksee.models.transformers.vision_language import VisionLanguageModel


def chat(tokenizer: Any, template: str) -> Chat:
    """InternVL's chat: an image is <img>, its tokens, </img>."""
    return Chat(
        tokenizer,
        template,
        placeholder=tokenizer.context_image_token,
        before=tokenizer.start_image_token,
        after=tokenizer.end_image_token,
        image_token_id=tokenizer.context_image_token_id,
    )


class InternVlm(VisionLanguageModel):
    """A loaded InternVL3. A row costs its tiles: at most `max_tiles` an image, and one more if there are several."""

    processor_class = GotOcr2ImageProcessorPil

    def __init__(
        self,
        directory: Path,
        *,
        device: torch.device,
        dtype: torch.dtype,
        max_tiles: int = 1,
        **kept: int,
    ) -> None:
        """`kept`: `feature_bytes` and `prefix_bytes`."""
        super().__init__(directory, device=device, dtype=dtype, **kept)
        self.decoder = Qwen2Decoder(self.net.model.language_model, self.net.lm_head).eval()
        self.use_decoder(self.decoder, dtype)
        self.max_tiles = max_tiles
        self.tile_tokens: int = self.net.config.image_seq_length
        self.eos_ids = eos_token_ids(self.net)
        self.chat = chat(self.tokenizer, self.tokenizer.chat_template)

    @property
    def image_slots(self) -> int:
        return self.tile_tokens * (self.max_tiles + (self.max_tiles > 1))

    @property
    def least_side(self) -> None:
        return None

    def crops(self, image: Image.Image) -> Tensor:
        return self.pixels.tiles(image, *grid(image.size, (self.pixels.width, self.pixels.height), self.max_tiles))

    def prompt(self, job: Job, crops: Sequence[int]) -> list[int]:
        return self.chat.ids(job.prompt, [count * self.tile_tokens for count in crops], job.turns)

    def cost(self, crops: int) -> int:
        return crops
