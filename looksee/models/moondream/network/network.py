"""The whole network: pictures to prefixes, pieces to embeddings, and one pass of the text model over many rows.

Holds no state beside its weights; whatever a row needs is in the cache it is given.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from looksee.models.moondream.config import Config
from looksee.models.moondream.crops.merge import pool, stitch
from looksee.models.moondream.crops.tiling import Crops, normalised
from looksee.models.moondream.network.cache import KVCache
from looksee.models.moondream.network.layers import attention_dtype
from looksee.models.moondream.network.region import RegionModel
from looksee.models.moondream.network.text import TextModel, causal
from looksee.models.moondream.network.vision import VisionModel
from looksee.models.moondream.sequence_items import CoordinateItem, Piece, SizeItem


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
        """What keys and values are kept in."""
        return attention_dtype(self.device, self.dtype)

    def features(self, crops: Tensor, *, at_once: int) -> Tensor:
        """Crops (crops, side, side, 3) uint8 to features (crops, patches, width), no more than `at_once` at a time."""
        return torch.cat(
            [self.vision(normalised(part.to(self.device), self.dtype)) for part in torch.split(crops, at_once)],
        )

    def image_tokens(self, pictures: Sequence[Crops], *, at_once: int) -> Tensor:
        """Pictures, of any tilings, to image tokens (pictures, patches, width of the text model)."""
        grid, margin = self.config.vision.grid, self.config.vision.overlap_margin
        # A picture with a single local crop has it twice, pixel for pixel: once as the global one.
        crops = [picture.pixels[:1] if len(picture.pixels) == 2 else picture.pixels for picture in pictures]
        features = self.features(torch.cat(crops), at_once=at_once)
        whole, pooled = [], []
        for picture, own in zip(pictures, torch.split(features, [len(part) for part in crops]), strict=True):
            whole.append(own[0])
            if len(own) == 1:
                pooled.append(own[0])
                continue
            tiles = own[1:].view(-1, grid, grid, own.shape[-1])
            pooled.append(pool(stitch(tiles, picture.rows, picture.columns, margin), grid).flatten(0, 1))
        return self.vision.project(torch.stack(whole), torch.stack(pooled))

    def read_pictures(self, image_tokens: Tensor) -> list[Tensor]:
        """The prefixes of pictures: for each layer the keys and values of the beginning and of the image tokens
        (pictures, patches, width), all seeing each other, as (2, pictures, heads, 1 + patches, head width).
        """
        start = self.text.wte[self.config.tokenizer.bos_id].expand(len(image_tokens), 1, -1)
        return self.text.read(torch.cat([start, image_tokens], dim=1))

    def embed(self, rows: Sequence[Sequence[Piece]]) -> Tensor:
        """Rows of pieces to embeddings (rows, longest, width); what is behind a shorter row means nothing."""
        names = self.config.tokenizer
        ids = torch.zeros(len(rows), max(len(row) for row in rows), dtype=torch.int64)
        coordinates: list[tuple[int, int, float]] = []
        sizes: list[tuple[int, int, float, float]] = []
        for number, row in enumerate(rows):
            for place, piece in enumerate(row):
                match piece:
                    case CoordinateItem(value):
                        ids[number, place] = names.coord_id
                        coordinates.append((number, place, value))
                    case SizeItem(width, height):
                        ids[number, place] = names.size_id
                        sizes.append((number, place, width, height))
                    case _:
                        ids[number, place] = piece
        x = self.text.wte[ids.to(self.device)]
        if coordinates:
            x[[place[0] for place in coordinates], [place[1] for place in coordinates]] = self.region.embed_coordinates(
                self._numbers([place[2] for place in coordinates])
            )
        if sizes:
            x[[size[0] for size in sizes], [size[1] for size in sizes]] = self.region.embed_sizes(
                self._numbers([size[2:] for size in sizes])
            )
        return x

    def extend(self, rows: Sequence[Sequence[Piece]], starts: Sequence[int], cache: KVCache) -> Tensor:
        """Feed each row its next pieces, from its own start on, causally: hidden states (rows, longest, width).

        A row shorter than the longest writes its padding into the one slot behind its end, which its next piece takes.
        """
        x = self.embed(rows)
        lengths = torch.tensor([len(row) for row in rows])[:, None]
        ahead = torch.arange(x.shape[1])[None].minimum(lengths)
        positions = (torch.tensor(starts)[:, None] + ahead).to(self.device)
        hidden: Tensor = self.text(x, positions, cache, causal(positions, cache.slots))
        return hidden

    def _numbers(self, values: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor(values, dtype=self.dtype, device=self.device)
