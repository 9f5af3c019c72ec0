"""What a decoder is to the core: embeddings, blocks that attend through a pass, and a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

from torch import Tensor, nn

from looksee.models.core.passes import Pass
from looksee.models.core.storage import CacheShape


class DecoderBlock(nn.Module, ABC):
    """One block of attention and MLP; `index` is its number, by which a pass keeps its keys and values."""

    index: int

    @abstractmethod
    def forward(self, x: Tensor, run: Pass) -> Tensor:
        """Hidden states (rows, fed, width) to such."""

    @abstractmethod
    def fill(self, x: Tensor, run: Pass) -> None:
        """Only keep the keys and values of hidden states (rows, fed, width)."""


class Decoder(nn.Module, ABC):
    """A language model without state: keys and values are where a pass keeps them."""

    shape: CacheShape
    vocabulary: int  # how many token ids there are logits of
    blocks: nn.ModuleList

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings (..., width) of token ids int64, without their positions."""

    @abstractmethod
    def start(self, embeddings: Tensor, run: Pass) -> Tensor:
        """The first block's input (rows, fed, width) for embeddings of that shape; sets the pass's rotations."""

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """The last block's hidden states (..., width) to logits (..., vocabulary) float32."""

    def forward(self, embeddings: Tensor, run: Pass) -> Tensor:
        """The last block's hidden states (rows, fed, width) for embeddings of that shape."""
        x = self.start(embeddings, run)
        for block in self.blocks:
            x = block(x, run)
        return x

    def fill(self, embeddings: Tensor, run: Pass) -> None:
        """Only keep keys and values. Nothing reads the last block's output, so it is not computed."""
        x = self.start(embeddings, run)
        *blocks, last = cast(list[DecoderBlock], list(self.blocks))
        for block in blocks:
            x = block(x, run)
        last.fill(x, run)
