"""OPT (Zhang et al. 2022, arXiv:2205.01068), the decoder of BLIP-2."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from looksee.models.core.decoder import DecoderBlock
from looksee.models.core.layers import fused
from looksee.models.core.passes import Pass
from looksee.models.core.storage import CacheShape
from looksee.models.decoders.support import require, take_layers
from looksee.models.decoders.word_decoder import WordDecoder

_POSITION_OFFSET = 2  # of the table of position embeddings, whose first rows stand for no position


class OptBlock(DecoderBlock):
    """Attention and MLP, each behind its LayerNorm."""

    def __init__(self, source: Any, index: int) -> None:
        """Of an `OPTDecoderLayer`."""
        super().__init__()
        self.index = index
        attention = source.self_attn
        self.heads: int = attention.num_heads
        self.width: int = attention.head_dim
        self.scale = self.width**-0.5
        self.qkv = fused([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out, self.norm = attention.out_proj, source.self_attn_layer_norm
        self.fc1, self.activation, self.fc2 = source.fc1, source.activation_fn, source.fc2
        self.mlp_norm = source.final_layer_norm

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        q, kv = self._project(x)
        x = x + self.out(run.attend(self.index, q, kv, self.scale))
        z: Tensor = x + self.fc2(self.activation(self.fc1(self.mlp_norm(x))))
        return z

    def fill(self, x: Tensor, run: Pass) -> None:
        run.write(self.index, self._project(x)[1])

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        qkv = self.qkv(self.norm(x)).view(*x.shape[:2], 3 * self.heads, self.width)
        return qkv[:, :, : self.heads].transpose(1, 2), qkv[:, :, self.heads :]


class OptDecoder(WordDecoder):
    """The decoder of an `OPTForCausalLM`, whose layers it takes: the source cannot be run afterwards."""

    def __init__(self, source: Any) -> None:
        """Raises WeightsUnavailable."""
        super().__init__()
        config = source.config
        require(config, model_type="opt", do_layer_norm_before=True, _remove_final_layer_norm=False)
        require(config, word_embed_proj_dim=config.hidden_size)
        model = source.model.decoder
        self.words, self.positions, self.norm = model.embed_tokens, model.embed_positions, model.final_layer_norm
        self.head = source.lm_head
        self.vocabulary = source.lm_head.out_features
        blocks = take_layers(model.layers, OptBlock)
        self.blocks = nn.ModuleList(blocks)
        self.shape = CacheShape(len(blocks), blocks[0].heads, blocks[0].width)

    def start(self, embeddings: Tensor, run: Pass) -> Tensor:
        return embeddings + nn.functional.embedding(run.positions + _POSITION_OFFSET, self.positions.weight)
