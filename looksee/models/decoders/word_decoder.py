"""What decoders share that read words from a table and have their head behind a last norm."""

from __future__ import annotations

from torch import Tensor, nn

from looksee.models.core.decoder import Decoder


class WordDecoder(Decoder):
    """`words` is the table of embeddings, `norm` the last one, before the `head`."""

    words: nn.Module
    norm: nn.Module
    head: nn.Module

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.words(ids)
        return embedded

    def logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(hidden))
        return logits.float()
