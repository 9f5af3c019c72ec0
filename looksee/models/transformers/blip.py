"""BLIP captioning (Li et al. 2022, arXiv:2201.12086) behind the five verbs.

Two things the library's own batched `generate` gets wrong with prompts of different lengths are right here: rows are
padded on the left, and every row's leading [CLS] (not only column 0) becomes [DEC].
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
from looksee.models.transformers.chat import controls, escape_special_tokens
from looksee.models.transformers.decoder import CausalDecoder, DecoderBatch, PromptRow
from looksee.models.transformers.pixels import Pixels


@dataclass(slots=True, kw_only=True)
class BlipRow(PromptRow):
    """`pixel_values` is (3, height, width) float32; `prompt_ids` starts with [DEC] and lacks [SEP]."""

    pixel_values: Tensor


class Blip(CausalDecoder[BlipRow]):
    """A loaded BLIP."""

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        # The Pillow backend gives the same pixels with and without torchvision on the machine.
        self.processor = AutoProcessor.from_pretrained(directory, backend="pil")
        self.pixels = Pixels(self.processor.image_processor)
        self.net = BlipForConditionalGeneration.from_pretrained(directory, dtype=dtype, device_map={"": device})
        text, vision = self.net.config.text_config, self.net.config.vision_config
        self.tokenizer = self.processor.tokenizer
        self._controls = controls(self.tokenizer)
        self.start, self.pad = text.bos_token_id, text.pad_token_id
        self.ends = frozenset({text.sep_token_id})
        self.room = text.max_position_embeddings
        self.image_tokens = (vision.image_size // vision.patch_size) ** 2 + 1
        # The cross-attention reads its cache; it only wants to see that encoder states exist.
        self._no_states = torch.zeros(1, 1, vision.hidden_size, device=device, dtype=dtype)
        self._no_logits = torch.zeros(1, text.vocab_size, device=device)

    def prepare(self, job: Job) -> BlipRow:
        """Raises PromptTooLong when prompt and answer would not fit the decoder's positions."""
        prompt_ids = self.tokenizer(escape_special_tokens(job.prompt, self._controls)).input_ids[:-1]
        prompt_ids[0] = self.start
        return BlipRow(
            cost=self.image_tokens,
            max_new_tokens=self.limit(len(prompt_ids), job.max_new_tokens),
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
        cross = self._cross(states)
        ids, mask = kv.collate_left([(row.prompt_ids + row.tokens)[:-1] for row in rows], self.pad, self.device)
        if ids.shape[1]:
            decoder = DynamicCache()
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            self._decode(ids, mask, positions, EncoderDecoderCache(decoder, cross))
        else:  # no row has a prompt, and nothing is before its first token
            decoder = kv.begin(cross)
        return DecoderBatch(list(rows), decoder, mask, mask.sum(-1) - 1, self._no_logits.expand(len(rows), -1), cross)

    def feed(self, tokens: Tensor, batch: DecoderBatch[BlipRow]) -> Tensor:
        cache = EncoderDecoderCache(batch.cache, batch.cross)
        return self._decode(tokens, batch.mask, batch.positions[:, None], cache)

    def raw_text(self, row: BlipRow) -> str:
        # Decoded with its prompt, so that a word piece which continues the prompt's last word is not shown as "##s".
        prompt = self.tokenizer.decode(row.prompt_ids, skip_special_tokens=True)
        text: str = self.tokenizer.decode(row.prompt_ids + row.tokens, skip_special_tokens=True)
        return text[len(prompt) :]

    def _cross(self, states: Tensor) -> DynamicCache:
        """The cross-attention's keys and values for encoder states (rows, image tokens, width)."""
        layers = []
        for layer in self.net.text_decoder.bert.encoder.layer:
            attention = layer.crossattention.self
            shape = (*states.shape[:-1], -1, attention.attention_head_size)
            keys, values = (part(states).view(shape).transpose(1, 2) for part in (attention.key, attention.value))
            layers.append((keys, values))
        return kv.holding(layers)

    def _decode(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: EncoderDecoderCache) -> Tensor:
        """The last position's logits, (rows, vocabulary) float32."""
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
