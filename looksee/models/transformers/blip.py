"""BLIP captioning (Li et al. 2022, arXiv:2201.12086).

Two faults of transformers' batched `generate` with prompts of different lengths are avoided: rows are padded on the
left, and the leading [CLS] of every row (not only column 0) becomes [DEC].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    AutoProcessor,
    BlipForConditionalGeneration,
    DynamicCache,
    EncoderDecoderCache,
)

from looksee.core import images
from looksee.core.tasks import Job
from looksee.models.sampling import seed_of
from looksee.models.transformers import kv
from looksee.models.transformers.chat import control_tokens, escape_special_tokens
from looksee.models.transformers.decoder import CausalDecoder, DecoderBatch, PromptRow
from looksee.models.transformers.images.pixels import Pixels


@dataclass(slots=True, kw_only=True)
class BlipRow(PromptRow):
    """`pixel_values` is (3, height, width) float32; `prompt_ids` starts with [DEC] and lacks [SEP]."""

    pixel_values: Tensor


class Blip(CausalDecoder[BlipRow]):
    """A loaded BLIP. A row costs its image tokens, which are the same for every image."""

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        # The Pillow backend gives the same pixels whether or not torchvision is installed.
        self.processor = AutoProcessor.from_pretrained(directory, backend="pil")
        self.pixels = Pixels(self.processor.image_processor)
        self.net = BlipForConditionalGeneration.from_pretrained(directory, dtype=dtype, device_map={"": device})
        text, vision = self.net.config.text_config, self.net.config.vision_config
        self.tokenizer = self.processor.tokenizer
        self._control_tokens = control_tokens(self.tokenizer)
        self._decoder_start_id, self._pad_id = text.bos_token_id, text.pad_token_id
        self.eos_ids = frozenset({text.sep_token_id})
        self.max_positions = text.max_position_embeddings
        self.image_tokens = (vision.image_size // vision.patch_size) ** 2 + 1
        # The cross-attention reads its cache; it only checks that encoder states are given.
        self._no_states = torch.zeros(1, 1, vision.hidden_size, device=device, dtype=dtype)
        self._no_logits = torch.zeros(1, text.vocab_size, device=device)

    def prepare(self, job: Job) -> BlipRow:
        """Raises CorruptImage, and PromptTooLong when prompt and answer would not fit the decoder's positions."""
        prompt_ids = self.tokenizer(escape_special_tokens(job.prompt, self._control_tokens)).input_ids[:-1]
        prompt_ids[0] = self._decoder_start_id
        return BlipRow(
            cost=self.image_tokens,
            max_new_tokens=self.fit_new_tokens(len(prompt_ids), job.max_new_tokens),
            prompt_tokens=self.image_tokens + len(prompt_ids),
            sampling=job.sampling,
            seed=seed_of(job.sampling),
            stop=job.stop,
            pixel_values=self.pixels(images.decode(job.images[0])),
            prompt_ids=prompt_ids,
        )

    @torch.inference_mode()
    def prefill(self, rows: Sequence[BlipRow]) -> DecoderBatch[BlipRow]:
        pixels = torch.stack([row.pixel_values for row in rows]).to(self.device, self.dtype)
        states = self.net.vision_model(pixel_values=pixels).last_hidden_state
        cross_cache = self._cross_cache(states)
        ids, mask = kv.collate_left([(row.prompt_ids + row.tokens)[:-1] for row in rows], self._pad_id, self.device)
        if ids.shape[1]:
            cache = DynamicCache()
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            self._decode(ids, mask, positions, EncoderDecoderCache(cache, cross_cache))
        else:  # no row has a prompt: there is nothing to feed before the first step
            cache = kv.empty_like(cross_cache)
        logits = self._no_logits.expand(len(rows), -1)
        return DecoderBatch(list(rows), cache, mask, mask.sum(-1) - 1, logits, cross_cache)

    def forward_step(self, tokens: Tensor, batch: DecoderBatch[BlipRow]) -> Tensor:
        cache = EncoderDecoderCache(batch.cache, batch.cross_cache)
        return self._decode(tokens, batch.mask, batch.positions[:, None], cache)

    def raw_text(self, row: BlipRow) -> str:
        # Decoded with its prompt, so that a word piece that continues the prompt's last word does not show as "##s".
        prompt = self.tokenizer.decode(row.prompt_ids, skip_special_tokens=True)
        text: str = self.tokenizer.decode(row.prompt_ids + row.tokens, skip_special_tokens=True)
        return text[len(prompt) :]

    def _cross_cache(self, states: Tensor) -> DynamicCache:
        """The cross-attention's keys and values for encoder states (rows, image tokens, width)."""
        layers = []
        for layer in self.net.text_decoder.bert.encoder.layer:
            attention = layer.crossattention.self
            shape = (*states.shape[:-1], -1, attention.attention_head_size)
            keys, values = (part(states).view(shape).transpose(1, 2) for part in (attention.key, attention.value))
            layers.append((keys, values))
        return kv.from_layers(layers)

    def _decode(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: EncoderDecoderCache) -> Tensor:
        """The last position's logits (rows, vocabulary) float32 after `ids` (rows, length), which the cache gains.

        `mask` (rows, cached + length) covers the cached positions too; `positions` is (rows, length).
        """
        logits: Tensor = self.net.text_decoder(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            encoder_hidden_states=self._no_states.expand(len(ids), -1, -1),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return logits[:, -1].float()
