"""Models whose decoder reads an image's features among its token embeddings: BLIP-2, Gemma 3, InternVL3.

Their prefill is the same: features of all new rows' images in one pass of the vision tower, put in the place of the
prompts' image tokens, then the decoder over left-padded rows. Each model's module has what differs.
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
from looksee.models.transformers.images.pixels import Pixels


@dataclass(slots=True)
class ImageInput:
    """An image of a row: before its prefill `pixel_values` (crops, 3, height, width) float32, afterwards `features`
    (crops, tokens, width). `key` is a hash of its file.
    """

    key: bytes
    crops: int
    pixel_values: Tensor | None
    features: Tensor | None


@dataclass(slots=True, kw_only=True)
class ImageRow(PromptRow):
    """`prompt_ids` has one image token for each feature of each image."""

    images: list[ImageInput]


class VisionLanguageModel(CausalDecoder[ImageRow]):
    """A loaded checkpoint. Features of the latest images are cached, at most `feature_bytes` bytes."""

    processor_class: ClassVar[Any]  # transformers' image processor that needs no torchvision
    decoder: Any  # the part of the network that takes embeddings

    def __init__(self, directory: Path, *, device: torch.device, dtype: torch.dtype, feature_bytes: int = 0) -> None:
        self.device, self.dtype = device, dtype
        self.feature_cache: EncodingCache[Tensor] = EncodingCache(feature_bytes, lambda features: features.nbytes)
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.pixels = Pixels(self.processor_class.from_pretrained(directory))
        self.net = AutoModelForImageTextToText.from_pretrained(directory, dtype=dtype, device_map={"": device})
        text = self.net.config.get_text_config()
        self.max_positions = text.max_position_embeddings
        self.image_token_id: int = self.net.config.image_token_id
        self._pad_id = text.pad_token_id or 0
        self._no_cross_cache = DynamicCache()
        self._no_logits = torch.zeros(1, text.vocab_size, device=device)

    @abstractmethod
    def crops(self, image: Image.Image) -> Tensor:
        """The vision tower's input for an RGB image: (crops, 3, height, width) float32."""

    @abstractmethod
    def prompt(self, job: Job, crops: Sequence[int]) -> list[int]:
        """The prompt's token ids; `crops` counts those of each image."""

    @abstractmethod
    def cost(self, crops: int) -> int:
        """The cost of a row whose images have so many crops together, in the unit of the model's batch limit."""

    def prompt_mask(self, mask: Tensor, is_image: Tensor) -> Any:
        """The decoder's attention mask in a prefill.

        `mask` (rows, length) int64 is 0 where a row is padded, `is_image` (rows, length) bool marks image tokens.
        """
        return mask

    def decode(self, embeddings: Tensor, cache: DynamicCache, positions: Tensor, mask: Any) -> Tensor:
        """The decoder's hidden states (rows, length, width) for `embeddings` of that shape, which the cache gains.

        `positions` is (rows, length). `mask` covers cached and new positions together: (rows, cached + length), or in
        the form of `prompt_mask`.
        """
        hidden: Tensor = self.decoder(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return hidden

    def image_features(self, crops: Tensor) -> Tensor:
        """(crops, tokens, width) for (crops, 3, height, width) of the model's dtype."""
        features: Tensor = self.net.get_image_features(crops).pooler_output
        return features

    def prepare(self, job: Job) -> ImageRow:
        """Raises CorruptImage, and PromptTooLong when prompt and answer would not fit the decoder's positions."""
        several = len(job.images) > 1
        inputs = [
            self._image_input(data, param=f"images.{index}" if several else None)
            for index, data in enumerate(job.images)
        ]
        crops = [image.crops for image in inputs]
        prompt_ids = self.prompt(job, crops)
        return ImageRow(
            cost=self.cost(sum(crops)),
            max_new_tokens=self.fit_new_tokens(len(prompt_ids), job.max_new_tokens),
            prompt_tokens=len(prompt_ids),
            sampling=job.sampling,
            seed=seed_of(job.sampling),
            stop=job.stop,
            prompt_ids=prompt_ids,
            images=inputs,
        )

    def _image_input(self, data: bytes, *, param: str | None) -> ImageInput:
        key = hashlib.blake2b(data, digest_size=16).digest()
        features = self.feature_cache.get(key)
        if features is not None:
            return ImageInput(key, len(features), None, features)
        pixel_values = self.crops(images.decode(data, param=param))
        return ImageInput(key, len(pixel_values), pixel_values, None)

    @torch.inference_mode()
    def prefill(self, rows: Sequence[ImageRow]) -> DecoderBatch[ImageRow]:
        ids, mask = kv.collate_left([(row.prompt_ids + row.tokens)[:-1] for row in rows], self._pad_id, self.device)
        is_image = ids == self.image_token_id
        for index, row in enumerate(rows):  # an image token that the model itself has generated stands for no image
            is_image[index, ids.shape[1] - max(0, len(row.tokens) - 1) :] = False
        embeddings = self.net.get_input_embeddings()(ids.masked_fill(is_image, self._pad_id))
        features = self._encode_images([image for row in rows for image in row.images])
        if features:
            embeddings = embeddings.masked_scatter(is_image[..., None], torch.cat(features).to(embeddings.dtype))
        batch = DecoderBatch(
            list(rows),
            DynamicCache(),  # without a config: sliding layers keep whole rows too, so that all layers line up
            mask,
            mask.sum(-1) - 1,
            self._no_logits.expand(len(rows), -1),
            self._no_cross_cache,
        )
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        self.decode(embeddings, batch.cache, positions, self.prompt_mask(mask, is_image))
        return batch

    def _encode_images(self, inputs: Sequence[ImageInput]) -> list[Tensor]:
        """Features (tokens, width) of each image, in order; equal images pass the vision tower once."""
        for image in inputs:
            if image.features is None:
                image.features = self.feature_cache.peek(image.key)
        new = {image.key: image for image in inputs if image.features is None}
        if new:
            crops = [image.pixel_values for image in new.values() if image.pixel_values is not None]
            encoded = self.image_features(torch.cat(crops).to(self.device, self.dtype))
            parts = torch.split(encoded, [len(one) for one in crops])
            for image, part in zip(new.values(), parts, strict=True):
                image.features = part.clone()  # a view would keep the features of all images in memory
                self.feature_cache.put(image.key, image.features)
        features = []
        for image in inputs:
            if image.features is None:  # an equal image of this batch was encoded
                image.features = new[image.key].features
            image.pixel_values = None
            assert image.features is not None
            features.append(image.features.flatten(0, 1))
        return features

    def forward_step(self, tokens: Tensor, batch: DecoderBatch[ImageRow]) -> Tensor:
        embeddings = self.net.get_input_embeddings()(tokens)
        hidden = self.decode(embeddings, batch.cache, batch.positions[:, None], batch.mask)
        logits: Tensor = self.net.get_output_embeddings()(hidden[:, -1])
        return logits.float()

    def reuse(self) -> tuple[int, int]:
        return self.feature_cache.hits, self.feature_cache.misses

    def release_memory(self) -> None:
        self.feature_cache.clear()
        super().release_memory()
