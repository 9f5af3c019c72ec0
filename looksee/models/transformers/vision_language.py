"""Models whose decoder reads a picture's features among its tokens: BLIP-2, Gemma 3, InternVL3.

Their prefill is the same: features of all newcomers' pictures in one pass of the vision tower, put where the prompt has
picture tokens, then the decoder over left-padded rows. What differs is in each model's module.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoTokenizer, DynamicCache

from looksee.core import images
from looksee.core.tasks import Job
from looksee.models.encoding_cache import EncodingCache
from looksee.models.sampling import seed_of
from looksee.models.transformers import kv
from looksee.models.transformers.decoder import CausalDecoder, DecoderBatch, PromptRow
from looksee.models.transformers.pixels import Pixels


@dataclass(slots=True)
class ImageInput:
    """A picture of a row: first `pixel_values` (crops, 3, height, width), then `features` (crops, tokens, width)."""

    key: bytes
    crops: int
    pixel_values: Tensor | None
    features: Tensor | None


@dataclass(slots=True, kw_only=True)
class ImageRow(PromptRow):
    """`prompt_ids` has one picture token for each feature."""

    pictures: list[ImageInput]


class VisionLanguageModel(CausalDecoder[ImageRow]):
    """A loaded checkpoint. Features of the latest pictures are kept, `feature_bytes` of them."""

    processor_class: ClassVar[Any]  # the library's image processor that works without torchvision
    decoder: Any  # the part that reads embeddings

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype, feature_bytes: int = 0) -> None:
        self.device, self.dtype = device, dtype
        self.feature_cache: EncodingCache[Tensor] = EncodingCache(feature_bytes, lambda features: features.nbytes)
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.pixels = Pixels(self.processor_class.from_pretrained(directory))
        self.net = AutoModelForImageTextToText.from_pretrained(directory, dtype=dtype, device_map={"": device})
        text = self.net.config.get_text_config()
        self.room = text.max_position_embeddings
        self.pad = text.pad_token_id or 0
        self.picture_token: int = self.net.config.image_token_id
        self._no_cross = DynamicCache()
        self._no_logits = torch.zeros(1, text.vocab_size, device=device)

    @abstractmethod
    def crops(self, picture: Image.Image) -> Tensor:
        """What the vision tower sees of an RGB picture: (crops, 3, height, width) float32."""

    @abstractmethod
    def prompt(self, job: Job, crops: Sequence[int]) -> list[int]:
        """The prompt's token ids; `crops` counts those of each picture."""

    @abstractmethod
    def cost(self, crops: int) -> int:
        """What a row with so many crops costs, in the unit of the model's batch limit."""

    def prompt_mask(self, mask: Tensor, pictures: Tensor) -> Any:
        """What a prefill gives the decoder as its attention mask.

        `mask` (rows, length) int64 is 0 where a row is padded, `pictures` (rows, length) bool marks picture tokens.
        """
        return mask

    def decode(self, embeddings: Tensor, cache: DynamicCache, positions: Tensor, mask: Any) -> Tensor:
        """The decoder's states (rows, length, width) after `embeddings`, by which the cache grows.

        `mask` covers what the cache holds and the new tokens together: (rows, positions), or as `prompt_mask` has it.
        """
        states: Tensor = self.decoder(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return states

    def features(self, crops: Tensor) -> Tensor:
        """(crops, tokens, width) for (crops, 3, height, width)."""
        found: Tensor = self.net.get_image_features(crops).pooler_output
        return found

    def prepare(self, job: Job) -> ImageRow:
        """Raises PromptTooLong when prompt and answer would not fit the decoder's positions, CorruptImage."""
        several = len(job.images) > 1
        pictures = [
            self._picture(image, param=f"images.{place}" if several else None) for place, image in enumerate(job.images)
        ]
        crops = [picture.crops for picture in pictures]
        prompt_ids = self.prompt(job, crops)
        return ImageRow(
            cost=self.cost(sum(crops)),
            max_new_tokens=self.limit(len(prompt_ids), job.max_new_tokens),
            prompt_tokens=len(prompt_ids),
            sampling=job.sampling,
            seed=seed_of(job.sampling),
            stop=job.stop,
            prompt_ids=prompt_ids,
            pictures=pictures,
        )

    def _picture(self, data: bytes, *, param: str | None) -> ImageInput:
        key = hashlib.blake2b(data, digest_size=16).digest()
        features = self.feature_cache.get(key)
        if features is not None:
            return ImageInput(key, len(features), None, features)
        pixel_values = self.crops(images.decode(data, param=param))
        return ImageInput(key, len(pixel_values), pixel_values, None)

    @torch.inference_mode()
    def prefill(self, rows: Sequence[ImageRow]) -> DecoderBatch[ImageRow]:
        ids, mask = kv.collate_left([(row.prompt_ids + row.tokens)[:-1] for row in rows], self.pad, self.device)
        pictures = ids == self.picture_token
        for index, row in enumerate(rows):  # one that the model has written itself is a token like any other
            pictures[index, ids.shape[1] - max(0, len(row.tokens) - 1) :] = False
        embeddings = self.net.get_input_embeddings()(ids.masked_fill(pictures, self.pad))
        seen = self._see([picture for row in rows for picture in row.pictures])
        if seen:
            embeddings = embeddings.masked_scatter(pictures[..., None], torch.cat(seen).to(embeddings.dtype))
        batch = DecoderBatch(
            list(rows),
            DynamicCache(),  # without a config: sliding layers keep whole rows too, so that all layers line up
            mask,
            mask.sum(-1) - 1,
            self._no_logits.expand(len(rows), -1),
            self._no_cross,
        )
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        self.decode(embeddings, batch.cache, positions, self.prompt_mask(mask, pictures))
        return batch

    def _see(self, pictures: Sequence[ImageInput]) -> list[Tensor]:
        """Features (tokens, width) of each picture, in order; each different one passes the vision tower once."""
        for picture in pictures:
            picture.features = (
                picture.features if picture.features is not None else self.feature_cache.peek(picture.key)
            )
        fresh = {picture.key: picture for picture in pictures if picture.features is None}
        if fresh:
            crops = [picture.pixel_values for picture in fresh.values() if picture.pixel_values is not None]
            seen = self.features(torch.cat(crops).to(self.device, self.dtype))
            parts = torch.split(seen, [len(one) for one in crops])
            for picture, own in zip(fresh.values(), parts, strict=True):
                picture.features = own.clone()  # a view would keep the whole batch's
                self.feature_cache.put(picture.key, picture.features)
        found = []
        for picture in pictures:
            if picture.features is None:  # the same picture as another one here
                picture.features = fresh[picture.key].features
            picture.pixel_values = None
            assert picture.features is not None
            found.append(picture.features.flatten(0, 1))
        return found

    def reuse(self) -> tuple[int, int]:
        return self.feature_cache.hits, self.feature_cache.misses

    def release_memory(self) -> None:
        self.feature_cache.clear()
        super().release_memory()

    def feed(self, tokens: Tensor, batch: DecoderBatch[ImageRow]) -> Tensor:
        embeddings = self.net.get_input_embeddings()(tokens)
        states = self.decode(embeddings, batch.cache, batch.positions[:, None], batch.mask)
        logits: Tensor = self.net.get_output_embeddings()(states[:, -1])
        return logits.float()
