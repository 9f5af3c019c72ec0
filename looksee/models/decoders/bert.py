"""BLIP's text decoder: BERT (Devlin et al. 2018, arXiv:1810.04805) with cross-attention to a picture's states."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from looksee.models.core.batch_cache import RowSpan
from looksee.models.core.decoder import Decoder, DecoderBlock
from looksee.models.core.layers import fused
from looksee.models.core.passes import Pass
from looksee.models.core.storage import CacheShape
from looksee.models.decoders.support import require, take_layers


class BertBlock(DecoderBlock):
    """Attention, cross-attention and MLP, each with its LayerNorm behind the residual."""

    def __init__(self, source: Any, index: int) -> None:
        """Of a `BlipTextLayer`."""
        super().__init__()
        self.index = index
        own, cross = source.attention.self, source.crossattention.self
        self.heads: int = own.num_attention_heads
        self.width: int = own.attention_head_size
        self.scale = self.width**-0.5
        self.qkv = fused([own.query, own.key, own.value])
        self.out, self.norm = source.attention.output.dense, source.attention.output.LayerNorm
        self.cross_query, self.cross_kv = cross.query, fused([cross.key, cross.value])
        self.cross_out, self.cross_norm = source.crossattention.output.dense, source.crossattention.output.LayerNorm
        self.fc1, self.activation = source.intermediate.dense, source.intermediate.intermediate_act_fn
        self.fc2, self.mlp_norm = source.output.dense, source.output.LayerNorm

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        q, kv = self._project(x)
        x = self.norm(self.out(run.attend(self.index, q, kv, self.scale)) + x)
        q = self.cross_query(x).view(*x.shape[:2], self.heads, self.width).transpose(1, 2)
        x = self.cross_norm(self.cross_out(run.attend_cross(self.index, q, self.scale)) + x)
        z: Tensor = self.mlp_norm(self.fc2(self.activation(self.fc1(x))) + x)
        return z

    def fill(self, x: Tensor, run: Pass) -> None:
        run.write(self.index, self._project(x)[1])

    def cross_keys_values(self, states: Tensor) -> Tensor:
        """(rows, 2 * heads, length, head width) for encoder states (rows, length, width)."""
        kv: Tensor = self.cross_kv(states).view(*states.shape[:2], 2 * self.heads, self.width).transpose(1, 2)
        return kv

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        qkv = self.qkv(x).view(*x.shape[:2], 3 * self.heads, self.width)
        return qkv[:, :, : self.heads].transpose(1, 2), qkv[:, :, self.heads :]


class BertDecoder(Decoder):
    """The decoder of a `BlipTextLMHeadModel`, whose layers it takes: the source cannot be run afterwards."""

    def __init__(self, source: Any, *, cross_length: int) -> None:
        """`cross_length` is the number of a picture's states. Raises WeightsUnavailable."""
        super().__init__()
        config = source.config
        require(config, model_type="blip_text_model", is_decoder=True, position_embedding_type="absolute")
        bert = source.bert
        self.words, self.positions = bert.embeddings.word_embeddings, bert.embeddings.position_embeddings
        self.norm = bert.embeddings.LayerNorm
        self.transform, self.head = source.cls.predictions.transform, source.cls.predictions.decoder
        self.vocabulary = self.head.out_features
        blocks = take_layers(bert.encoder.layer, BertBlock)
        self.blocks = nn.ModuleList(blocks)
        self.shape = CacheShape(len(blocks), blocks[0].heads, blocks[0].width, cross_length)

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.words(ids)
        return embedded

    def start(self, embeddings: Tensor, run: Pass) -> Tensor:
        x: Tensor = self.norm(embeddings + self.positions(run.positions))
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.transform(hidden))
        return logits.float()

    def write_cross(self, states: Tensor, rows: RowSpan) -> None:
        """Keep the cross-attention's keys and values for encoder states (rows, cross length, width)."""
        for block in cast(list[BertBlock], list(self.blocks)):
            rows.cross(block.index)[:] = block.cross_keys_values(states)
