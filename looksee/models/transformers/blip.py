"""BLIP captioning (Li et al. 2022, arXiv:2201.12086).

Its decoder attends to the picture's states. A prompt is a text's beginning, which the caption continues: [DEC] in the
place of [CLS], and no [SEP].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoProcessor, BlipForConditionalGeneration

from looksee.core import images
from looksee.core.tasks import Job
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.passes import Prefill
from looksee.models.decoders.bert import BertDecoder
from looksee.models.sampling import check_bias, seed_of
from looksee.models.transformers.blip_vision import replace_attention
from looksee.models.transformers.chat import control_tokens, escape_special_tokens
from looksee.models.transformers.checkpoint import network
from looksee.models.transformers.decoder import PromptRow, TransformersModel, in_passes, padded
from looksee.models.transformers.images.pixels import Pixels


@dataclass(slots=True, kw_only=True)
class BlipRow(PromptRow):
    """`pixel_values` is (3, height, width) float32; `prompt_ids` starts with [DEC] and lacks [SEP]."""

    pixel_values: Tensor

    @property
    def slots(self) -> int:
        """Those of its text: the picture's positions are the cross-attention's, and as many in every row."""
        return len(self.prompt_ids) + self.max_new_tokens

    @property
    def nbytes(self) -> int:
        return self.pixel_values.nbytes


class Blip(TransformersModel[BlipRow]):
    """A loaded BLIP. A row costs its image tokens, which are the same for every image."""

    decoder: BertDecoder

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        # The Pillow backend gives the same pixels whether or not torchvision is installed.
        self.processor = AutoProcessor.from_pretrained(directory, backend="pil")
        self.pixels = Pixels(self.processor.image_processor)
        self.net = network(BlipForConditionalGeneration, directory, device=device, dtype=dtype)
        replace_attention(self.net.vision_model)
        text, vision = self.net.config.text_config, self.net.config.vision_config
        self.tokenizer = self.processor.tokenizer
        self._control_tokens = control_tokens(self.tokenizer)
        self._decoder_start_id = text.bos_token_id
        self.eos_ids = frozenset({text.sep_token_id})
        self.max_positions = text.max_position_embeddings
        self.image_tokens = (vision.image_size // vision.patch_size) ** 2 + 1
        self.decoder = BertDecoder(self.net.text_decoder, cross_length=self.image_tokens).eval()
        self.use_decoder(self.decoder, dtype)

    def prepare(self, job: Job) -> BlipRow:
        """Raises CorruptImage, PromptTooLong when prompt and answer would not fit the decoder's positions,
        InvalidValue, and what `Grammars.matcher` raises.
        """
        check_bias(job.sampling, self.decoder.vocabulary)
        prompt_ids = self.tokenizer(escape_special_tokens(job.prompt, self._control_tokens)).input_ids[:-1]
        prompt_ids[0] = self._decoder_start_id
        return BlipRow(
            cost=self.image_tokens,
            max_new_tokens=self.fit_new_tokens(len(prompt_ids), job.max_new_tokens),
            prompt_tokens=self.image_tokens + len(prompt_ids),
            sampling=job.sampling,
            seed=seed_of(job.sampling),
            stop=job.stop,
            wording=job.wording,
            matcher=self.grammars.matcher(job.grammar),
            pixel_values=self.pixels(images.decode(job.images[0], least_side=self.pixels.least_side)),
            prompt_ids=prompt_ids,
        )

    def fill(self, rows: Sequence[BlipRow], cache: BatchCache) -> None:
        for some in in_passes(len(rows), *rows[0].pixel_values.shape[-2:]):
            pixels = torch.stack([row.pixel_values for row in rows[some]]).to(self.device, self.dtype)
            states = self.net.vision_model(pixel_values=pixels).last_hidden_state
            self.decoder.write_cross(states, cache.span(some.start, some.start + len(states)))
        ids = padded([row.history[:-1] for row in rows]).to(self.device)
        if ids.shape[1]:  # else no row has a prompt: there is nothing to feed before the first step
            self.decoder.fill(self.decoder.embed(ids), Prefill(cache.span(), ids.shape[1]))

    @property
    def usual_length(self) -> int:
        return self.max_positions

    def continued(self, row: BlipRow) -> Sequence[int]:
        return row.prompt_ids  # else a word piece that continues the prompt's last word would show as "##s"
