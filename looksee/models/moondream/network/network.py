"""The whole network: sequence items to embeddings, and passes of the text model over many rows.

It has no state beside its weights; keys and values are in the cache that a call is given. Crops are encoded with its
`vision` by `looksee.models.moondream.crops.encoder`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.passes import Extension, Prefix
from looksee.models.moondream.config import Config
from looksee.models.moondream.network.layers import attention_dtype
from looksee.models.moondream.network.region import RegionModel
from looksee.models.moondream.network.text import TextModel
from looksee.models.moondream.network.vision import VisionModel
from looksee.models.moondream.sequence_items import CoordinateItem, SequenceItem, SizeItem


class Network(nn.Module):
    """Parameter names and shapes are the published ones without their leading `model.`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.text = TextModel(config.text)
        self.vision = VisionModel(config.vision)
        self.region = RegionModel(config.region)

    @property
    def device(self) -> torch.device:
        return self.text.wte.device

    @property
    def dtype(self) -> torch.dtype:
        return self.text.wte.dtype

    @property
    def cache_dtype(self) -> torch.dtype:
        """The dtype of keys and values."""
        return attention_dtype(self.device, self.dtype)

    def image_prefixes(self, image_tokens: Tensor) -> list[Tensor]:
        """Keys and values of the BOS id and the image tokens (images, patches, width), which all attend to each other.

        For each layer (images, 2 * heads, 1 + patches, head width), the keys' heads first.
        """
        start = self.text.wte[self.config.tokenizer.bos_id].expand(len(image_tokens), 1, -1)
        embeddings = torch.cat([start, image_tokens], dim=1)
        prefix = Prefix(len(embeddings), embeddings.shape[1], embeddings.device)
        self.text.fill(embeddings, prefix)
        return prefix.layers

    def embed(self, rows: Sequence[Sequence[SequenceItem]]) -> Tensor:
        """Embeddings (rows, longest, width) of rows of items; those behind a shorter row's end are arbitrary."""
        special_ids = self.config.tokenizer
        ids = torch.zeros(len(rows), max(len(row) for row in rows), dtype=torch.int64)
        coordinates: list[tuple[int, int, float]] = []
        sizes: list[tuple[int, int, float, float]] = []
        for index, row in enumerate(rows):
            for column, item in enumerate(row):
                match item:
                    case CoordinateItem(value):
                        ids[index, column] = special_ids.coord_id
                        coordinates.append((index, column, value))
                    case SizeItem(width, height):
                        ids[index, column] = special_ids.size_id
                        sizes.append((index, column, width, height))
                    case _:
                        ids[index, column] = item
        x = self.text.wte[ids.to(self.device)]
        if coordinates:
            where = [found[0] for found in coordinates], [found[1] for found in coordinates]
            x[where] = self.region.embed_coordinates(self._tensor([found[2] for found in coordinates]))
        if sizes:
            where = [found[0] for found in sizes], [found[1] for found in sizes]
            x[where] = self.region.embed_sizes(self._tensor([found[2:] for found in sizes]))
        return x

    def extend(self, rows: Sequence[Sequence[SequenceItem]], starts: Sequence[int], cache: BatchCache) -> Tensor:
        """Feed each row its next items, from its own start position on: hidden states (rows, longest, width).

        `cache` has the rows in their order.
        """
        run = Extension.behind(cache.span(), starts, [len(row) for row in rows])
        hidden: Tensor = self.text(self.embed(rows), run)
        return hidden

    def _tensor(self, values: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor(values, dtype=self.dtype, device=self.device)
