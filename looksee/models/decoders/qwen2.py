"""Qwen 2 (Yang et al. 2024, arXiv:2407.10671), the decoder of InternVL3."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from looksee.models.core.decoder import Decoder, DecoderBlock
from looksee.models.core.layers import fused
from looksee.models.core.passes import Pass
from looksee.models.core.rotary import rotate_, rotation
from looksee.models.core.storage import CacheShape
from looksee.models.decoders.support import require


class Qwen2Block(DecoderBlock):
    """Attention with few key heads, and a gated MLP, each behind its RMSNorm."""

    def __init__(self, source: Any, index: int, *, heads: int, key_heads: int) -> None:
        """Of a `Qwen2DecoderLayer`."""
        super().__init__()
        self.index = index
        attention, mlp = source.self_attn, source.mlp
        self.heads, self.key_heads, self.width = heads, key_heads, attention.head_dim
        self.scale = self.width**-0.5
        self.qkv = fused([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = attention.o_proj
        self.norm, self.mlp_norm = rms_norm(source.input_layernorm), rms_norm(source.post_attention_layernorm)
        self.gate_up, self.down, self.activation = fused([mlp.gate_proj, mlp.up_proj]), mlp.down_proj, mlp.act_fn

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        q, kv = self._project(x, run)
        x = x + self.out(run.attend(self.index, q, kv, self.scale))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        z: Tensor = x + self.down(self.activation(gate).mul_(up))
        return z

    def fill(self, x: Tensor, run: Pass) -> None:
        run.write(self.index, self._project(x, run)[1])

    def _project(self, x: Tensor, run: Pass) -> tuple[Tensor, Tensor]:
        turned = self.heads + self.key_heads
        qkv = self.qkv(self.norm(x)).view(*x.shape[:2], turned + self.key_heads, self.width)
        rotate_(qkv[:, :, :turned], run.rotations[0])
        return qkv[:, :, : self.heads].transpose(1, 2), qkv[:, :, self.heads :]


def rms_norm(source: Any) -> nn.RMSNorm:
    """torch's RMSNorm for a `Qwen2RMSNorm`: one kernel instead of six."""
    norm = nn.RMSNorm(len(source.weight), eps=source.variance_epsilon, device="meta")
    norm.weight = source.weight
    return norm


class Qwen2Decoder(Decoder):
    """The decoder of a `Qwen2Model` with the head `head`; takes the source's layers, which cannot be run afterwards.

    Its rotation is the original one also where the checkpoint has a `dynamic` one, which begins to differ behind the
    positions that it was trained with: rows do not get that long.
    """

    def __init__(self, source: Any, head: nn.Linear) -> None:
        """Raises WeightsUnavailable."""
        super().__init__()
        config = source.config
        require(config, use_sliding_window=False)
        if source.rotary_emb.rope_type != "dynamic":
            require(source.rotary_emb, rope_type="default")
        self.words, self.norm, self.head = source.embed_tokens, rms_norm(source.norm), head
        self.frequencies = nn.Buffer(source.rotary_emb.original_inv_freq.float(), persistent=False)
        heads, key_heads = config.num_attention_heads, config.num_key_value_heads
        self.shape = CacheShape(len(source.layers), key_heads, source.layers[0].self_attn.head_dim)
        self.blocks = nn.ModuleList()
        for index, layer in enumerate(source.layers):
            self.blocks.append(Qwen2Block(layer, index, heads=heads, key_heads=key_heads))
            source.layers[index] = nn.Identity()  # its parts are copied: nothing may hold both

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.words(ids)
        return embedded

    def start(self, embeddings: Tensor, run: Pass) -> Tensor:
        run.rotations = (rotation(run.positions, self.frequencies, 1.0, embeddings.dtype),)
        return embeddings

    def logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(hidden))
        return logits.float()
