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

import errors
from models import kv
from models.base import Row
from models.pixels import Pixels
from vision import images
from vision.tasks import Job, Outcome

_LEAST_ROOM = 16  # tokens an answer must have room for beside its prompt


@dataclass(slots=True, kw_only=True)
class BlipRow(Row):
    """`pixel_values` is (3, height, width) float32; `prompt_ids` starts with [DEC] and lacks [SEP]."""

    pixel_values: Tensor
    prompt_ids: list[int]


@dataclass(slots=True)
class BlipBatch:
    """The running rows. `mask` is (rows, length), `positions` (rows,) the latest position, `logits` (rows, vocabulary).

    `length` counts what was fed so far: all but the latest token, which the next step feeds.

    Cross-attention keys and values never change and are equally long in every row.
    """

    rows: list[BlipRow]
    decoder: DynamicCache
    cross: DynamicCache
    mask: Tensor
    positions: Tensor
    logits: Tensor


class Blip:
    """A loaded BLIP. One thread at a time may call the five verbs."""

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        # The Pillow backend gives the same pixels with and without torchvision on the machine.
        self.processor = AutoProcessor.from_pretrained(directory, backend="pil")
        self.pixels = Pixels(self.processor.image_processor)
        self.net = BlipForConditionalGeneration.from_pretrained(directory, dtype=dtype).to(device)
        text, vision = self.net.config.text_config, self.net.config.vision_config
        self.start, self.end, self.pad = text.bos_token_id, text.sep_token_id, text.pad_token_id
        self.room = text.max_position_embeddings
        self.image_tokens = (vision.image_size // vision.patch_size) ** 2 + 1
        # The cross-attention reads its cache; it only wants to see that encoder states exist.
        self._no_states = torch.zeros(1, 1, vision.hidden_size, device=device, dtype=dtype)
        self._no_logits = torch.zeros(1, text.vocab_size, device=device)

    def prepare(self, job: Job) -> BlipRow:
        """Raises PromptTooLong when prompt and answer would not fit the decoder's positions."""
        prompt_ids = self.processor.tokenizer(job.prompt).input_ids[:-1]
        prompt_ids[0] = self.start
        room = self.room - len(prompt_ids)
        if room < min(job.max_new_tokens, _LEAST_ROOM):
            raise errors.PromptTooLong(
                f"The prompt has {len(prompt_ids)} tokens; prompt and caption must fit {self.room}.",
                param="caption_prompt",
            )
        return BlipRow(
            cost=self.image_tokens,
            max_new_tokens=min(job.max_new_tokens, room),
            prompt_tokens=len(prompt_ids),
            pixel_values=self.pixels(images.decode(job.images[0])),
            prompt_ids=prompt_ids,
        )

    @torch.inference_mode()
    def prefill(self, rows: Sequence[BlipRow]) -> BlipBatch:
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
        return BlipBatch(list(rows), decoder, cross, mask, mask.sum(-1) - 1, self._no_logits.expand(len(rows), -1))

    @torch.inference_mode()
    def join(self, running: BlipBatch, newcomers: BlipBatch) -> BlipBatch:
        length = max(running.mask.shape[1], newcomers.mask.shape[1])
        masks = [kv.pad_left(batch.mask, length - batch.mask.shape[1], dim=1) for batch in (running, newcomers)]
        return BlipBatch(
            running.rows + newcomers.rows,
            kv.join(running.decoder, newcomers.decoder),
            kv.join(running.cross, newcomers.cross),
            torch.cat(masks),
            torch.cat([running.positions, newcomers.positions]),
            torch.cat([running.logits, newcomers.logits]),
        )

    @torch.inference_mode()
    def step(self, batch: BlipBatch) -> None:
        ids = torch.tensor([[(row.tokens or row.prompt_ids)[-1]] for row in batch.rows], device=self.device)
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.rows), 1)], dim=1)
        batch.positions = batch.positions + 1
        cache = EncoderDecoderCache(batch.decoder, batch.cross)
        batch.logits = self._decode(ids, batch.mask, batch.positions[:, None], cache)

    @torch.inference_mode()
    def leave(self, batch: BlipBatch, keep: Sequence[int]) -> BlipBatch:
        rows = torch.tensor(keep, device=self.device)
        mask = batch.mask[rows]
        length = int(mask.sum(-1).max())  # columns before are padding in every row that stays
        return BlipBatch(
            [batch.rows[index] for index in keep],
            kv.leave(batch.decoder, rows, length),
            kv.leave(batch.cross, rows, self.image_tokens),
            mask[:, -length:],
            batch.positions[rows],
            batch.logits[rows],
        )

    @torch.inference_mode()
    def read_out(self, batch: BlipBatch) -> None:
        for row, token in zip(batch.rows, batch.logits.argmax(-1).tolist(), strict=True):
            row.tokens.append(token)
            if token == self.end:
                row.finish = "stop"
            elif len(row.tokens) >= row.max_new_tokens:
                row.finish = "length"

    def outcome(self, row: BlipRow) -> Outcome:
        # Decoded with its prompt, so that a word piece which continues the prompt's last word is not shown as "##s".
        decode = self.processor.tokenizer.decode
        prompt = decode(row.prompt_ids, skip_special_tokens=True)
        text = decode(row.prompt_ids + row.tokens, skip_special_tokens=True)
        return Outcome(
            text=text[len(prompt) :].strip(),
            finish=row.finish or "length",
            prompt_tokens=row.prompt_tokens,
            new_tokens=len(row.tokens),
        )

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
