"""Coordinates and sizes: numbers to embeddings, and hidden states to numbers. An image's sides have length 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from looksee.models.moondream.config import RegionConfig
from looksee.models.moondream.network.layers import Mlp

_OCTAVES = 10  # a size is from 2^-10 to 2^0


class RegionModel(nn.Module):
    """The decoders take the text model's hidden states before its last LayerNorm."""

    def __init__(self, config: RegionConfig) -> None:
        super().__init__()
        self.config = config
        self.coord_features = nn.Parameter(torch.empty(1, config.coord_feat_dim // 2))
        self.size_features = nn.Parameter(torch.empty(2, config.size_feat_dim // 2))
        self.coord_encoder = nn.Linear(config.coord_feat_dim, config.dim)
        self.size_encoder = nn.Linear(config.size_feat_dim, config.dim)
        self.coord_decoder = Mlp(config.dim, config.inner_dim, config.coord_out_dim)
        self.size_decoder = Mlp(config.dim, config.inner_dim, config.size_out_dim)

    def embed_coordinates(self, values: Tensor) -> Tensor:
        """Coordinates (n,) of the model's dtype to embeddings (n, width)."""
        embeddings: Tensor = self.coord_encoder(_waves(values[:, None], self.coord_features))
        return embeddings

    def embed_sizes(self, values: Tensor) -> Tensor:
        """Widths and heights (n, 2) of the model's dtype to embeddings (n, width)."""
        embeddings: Tensor = self.size_encoder(_waves(values, self.size_features))
        return embeddings

    def coordinate_logits(self, hidden: Tensor) -> Tensor:
        """(n, width) to (n, bins)."""
        logits: Tensor = self.coord_decoder(hidden)
        return logits

    def size_logits(self, hidden: Tensor) -> Tensor:
        """(n, width) to (n, 2, bins): width, then height."""
        logits: Tensor = self.size_decoder(hidden)
        return logits.view(len(logits), 2, -1)

    def coordinate(self, bin_index: int) -> float:
        """The coordinate of a bin: the first is 0, and none is 1."""
        return bin_index / self.config.coord_out_dim

    def size(self, bin_index: int) -> float:
        """The width or height of a bin, from 2^-10 to 1, evenly spaced in octaves."""
        last = self.config.size_out_dim // 2 - 1
        return float(2 ** (bin_index / last * _OCTAVES - _OCTAVES))


def _waves(values: Tensor, features: Tensor) -> Tensor:
    """Fourier features: (n, numbers) with (numbers, frequencies) to (n, 2 * frequencies)."""
    angles = (2 * math.pi * values) @ features
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
