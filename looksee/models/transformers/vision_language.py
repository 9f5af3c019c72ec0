"""Models whose decoder reads an image's features among its token embeddings: BLIP-2, Gemma 3, InternVL3.

Their prefill is the same: features of all new rows' images in one pass of the vision tower, put in the place of the
prompts' image tokens, then the decoder. Rows whose prompts begin with the pictures of earlier ones take keys and values
from there, and only the rest of them is computed. Each model's module has what differs.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoTokenizer

from looksee.core import images
from looksee.core.tasks import Job
from looksee.models.core.batch_cache import BatchCache, RowSpan
from looksee.models.core.model import TEXT_SLOTS
from looksee.models.core.passes import Extension, Prefill, Window
from looksee.models.encoding_cache import EncodingCache
from looksee.models.sampling import check_bias, seed_of
from looksee.models.transformers.checkpoint import network
from looksee.models.transformers.decoder import PromptRow, TransformersModel, in_passes, padded
from looksee.models.transformers.images.pixels import Pixels
from looksee.models.transformers.prefixes import Beginning, BeginningCache, beginning


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
    """`prompt_ids` has one image token for each feature of each image; `beginning` ends behind the last of them."""

    images: list[ImageInput]
    beginning: Beginning | None

    @property
    def nbytes(self) -> int:
        return sum(
            part.nbytes for image in self.images for part in (image.pixel_values, image.features) if part is not None
        )


class VisionLanguageModel(TransformersModel[ImageRow]):
    """A loaded checkpoint.

    Features of the latest images are cached, at most `feature_bytes` bytes, and the keys and values of the latest
    beginnings of prompts, at most `prefix_bytes`.
    """

    processor_class: ClassVar[Any]  # transformers' image processor that needs no torchvision

    def __init__(
        self,
        directory: Path,
        *,
        device: torch.device,
        dtype: torch.dtype,
        feature_bytes: int = 0,
        prefix_bytes: int = 0,
    ) -> None:
        self.device, self.dtype = device, dtype
        self.beginning_cache = BeginningCache(prefix_bytes)
        self.feature_cache: EncodingCache[Tensor] = EncodingCache(feature_bytes, lambda features: features.nbytes)
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.pixels = Pixels(self.processor_class.from_pretrained(directory))
        self.net = network(AutoModelForImageTextToText, directory, device=device, dtype=dtype)
        text = self.net.config.get_text_config()
        self.max_positions = text.max_position_embeddings
        self.image_token_id: int = self.net.config.image_token_id

    @property
    def least_side(self) -> int | None:
        """The pixels of a side from which on a picture may be decoded smaller; None where its size tells its crops."""
        return self.pixels.least_side

    @property
    @abstractmethod
    def image_slots(self) -> int:
        """The image tokens of one picture at most."""

    @abstractmethod
    def crops(self, image: Image.Image) -> Tensor:
        """The vision tower's input for an RGB image: (crops, 3, height, width) float32."""

    @abstractmethod
    def prompt(self, job: Job, crops: Sequence[int]) -> list[int]:
        """The prompt's token ids; `crops` counts those of each image."""

    @abstractmethod
    def cost(self, crops: int) -> int:
        """The cost of a row whose images have so many crops together, in the unit of the model's batch limit."""

    def prompt_mask(self, is_image: Tensor) -> Callable[[Window], Tensor] | None:
        """The prompts' additive mask by a layer's window; None where attention is causal.

        `is_image` (rows, length) bool, on the CPU, marks image tokens.
        """
        return None

    def image_features(self, crops: Tensor) -> Tensor:
        """(crops, tokens, width) for (crops, 3, height, width) of the model's dtype."""
        features: Tensor = self.net.get_image_features(crops).pooler_output
        return features

    @property
    def usual_length(self) -> int:
        return min(self.max_positions, self.image_slots + TEXT_SLOTS)

    def prepare(self, job: Job) -> ImageRow:
        """Raises CorruptImage, PromptTooLong when prompt and answer would not fit the decoder's positions,
        InvalidValue, and what `Grammars.matcher` raises.
        """
        check_bias(job.sampling, self.decoder.vocabulary)
        matcher = self.grammars.matcher(job.grammar)
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
            wording=job.wording,
            matcher=matcher,
            prompt_ids=prompt_ids,
            images=inputs,
            beginning=beginning(prompt_ids, self.image_token_id, [image.key for image in inputs]),
        )

    def _image_input(self, data: bytes, *, param: str | None) -> ImageInput:
        key = hashlib.blake2b(data, digest_size=16).digest()
        features = self.feature_cache.get(key)
        if features is not None:
            return ImageInput(key, len(features), None, features)
        pixel_values = self.crops(images.decode(data, param=param, least_side=self.least_side))
        return ImageInput(key, len(pixel_values), pixel_values, None)

    def fill(self, rows: Sequence[ImageRow], cache: BatchCache) -> None:
        whole, others = self.beginning_cache.split([row.beginning for row in rows])
        cache.arrange([*whole, *others])
        if whole:
            self._fill_whole([rows[index] for index in whole], cache.span(0, len(whole)))
        for index in whole:
            if own := rows[index].beginning:
                self.beginning_cache.keep(own, cache, index)
        if others:
            self._fill_behind(rows, others, cache, len(whole))

    def _fill_whole(self, rows: Sequence[ImageRow], span: RowSpan) -> None:
        """Prefill whole prompts: row i of `span` is that of row i."""
        ids = padded([row.history[:-1] for row in rows])
        is_image = torch.zeros(ids.shape, dtype=torch.bool)
        for index, row in enumerate(rows):  # an image token that the model itself has generated stands for no image
            length = min(len(row.prompt_ids), ids.shape[1])
            is_image[index, :length] = ids[index, :length] == self.image_token_id
        embeddings = self.decoder.embed(ids.masked_fill_(is_image, 0).to(self.device))
        features = self._encode_images([image for row in rows for image in row.images])
        if features:
            places = is_image.flatten().nonzero()[:, 0].to(self.device)  # known on the host: nothing waits for a device
            flat = embeddings.flatten(0, 1)
            flat.index_copy_(0, places, torch.cat(features).to(flat.dtype))
        self.decoder.fill(embeddings, Prefill(span, ids.shape[1], self.prompt_mask(is_image)))

    def _fill_behind(
        self, rows: Sequence[ImageRow], prefixes: Mapping[int, list[Tensor] | int], cache: BatchCache, first: int
    ) -> None:
        """Write what some rows begin with, and prefill the rest; they have the rows of `cache` from `first` on."""
        starts, rest = [], []
        for index, prefix in prefixes.items():
            own = rows[index].beginning
            assert own is not None
            cache.write_prefix([index], cache.prefix(prefix, own.length) if isinstance(prefix, int) else prefix)
            starts.append(own.length)
            rest.append(rows[index].history[own.length : -1])
        if any(rest):
            run = Extension.behind(cache.span(first), starts, [len(ids) for ids in rest])
            self.decoder.fill(self.decoder.embed(padded(rest).to(self.device)), run)

    def _encode_images(self, inputs: Sequence[ImageInput]) -> list[Tensor]:
        """Features (tokens, width) of each image, in order; equal images pass the vision tower once."""
        for image in inputs:
            if image.features is None:
                image.features = self.feature_cache.peek(image.key)
        new = {image.key: image for image in inputs if image.features is None}
        if new:
            crops = [image.pixel_values for image in new.values() if image.pixel_values is not None]
            pixels = torch.cat(crops)
            passes = in_passes(len(pixels), *pixels.shape[-2:])
            encoded = torch.cat([self.image_features(pixels[some].to(self.device, self.dtype)) for some in passes])
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

    def reuse(self) -> dict[str, tuple[int, int]]:
        pictures, prefixes = self.feature_cache, self.beginning_cache
        return {"pictures": (pictures.hits, pictures.misses), "prefixes": (prefixes.hits, prefixes.misses)}

    def release_memory(self) -> None:
        self.feature_cache.clear()
        self.beginning_cache.clear()
        super().release_memory()
