"""BLIP-2 with OPT (Li et al. 2023, arXiv:2301.12597): a Q-Former's query tokens before a text that OPT continues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import BlipImageProcessorPil

from looksee.core.tasks import Job
from looksee.models.decoders.opt import OptDecoder
from looksee.models.transformers.chat import control_tokens, escape_special_tokens
from looksee.models.transformers.vision_language import VisionLanguageModel


class Blip2(VisionLanguageModel):
    """A loaded BLIP-2. A row costs its query tokens."""

    processor_class = BlipImageProcessorPil

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype, **kept: int) -> None:
        """`kept`: `feature_bytes` and `prefix_bytes`."""
        super().__init__(directory, device=device, dtype=dtype, **kept)
        self.decoder = OptDecoder(self.net.language_model).eval()
        self.use_decoder(self.decoder, dtype)
        self.query_tokens: int = self.net.config.num_query_tokens
        # OPT ends an answer with the id of a line's end: `generate` reads the text config, not the generation config.
        self.eos_ids = frozenset({self.net.config.text_config.eos_token_id})
        self._control_tokens = control_tokens(self.tokenizer)

    @property
    def image_slots(self) -> int:
        return self.query_tokens

    def crops(self, image: Image.Image) -> Tensor:
        return self.pixels(image)[None]

    def prompt(self, job: Job, crops: Sequence[int]) -> list[int]:
        text: list[int] = self.tokenizer(escape_special_tokens(job.prompt, self._control_tokens)).input_ids
        return [self.image_token_id] * (self.query_tokens * sum(crops)) + text

    def cost(self, crops: int) -> int:
        return crops * self.query_tokens
