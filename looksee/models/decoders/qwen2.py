"""Qwen 2 (Yang et al. 2024, arXiv:2407.10671), the decoder of InternVL3."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from looksee.models.core.decoder import DecoderBlock
from looksee.models.core.layers import fused
from looksee.models.core.passes import Pass
from looksee.models.core.rotary import rotate_, rotation
from looksee.models.core.storage import CacheShape
from looksee.models.decoders.support import require, require_layers, require_rope, take_layers
from looksee.models.decoders.word_decoder import WordDecoder


class Qwen2Block(DecoderBlock):
    """Attention with few key heads, and a gated MLP, each behind its RMSNorm."""

    def __init__(self, source: Any, index: int) -> None:
        """Of a `Qwen2DecoderLayer`."""
        super().__init__()
        self.index = index
        attention, mlp, config = source.self_attn, source.mlp, source.self_attn.config
        self.heads: int = config.num_attention_heads
        self.key_heads: int = config.num_key_value_heads
        self.width: int = attention.head_dim
        self.scale = self.width**-0.5
        self.qkv = fused([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = attention.o_proj
        self.norm, self.mlp_norm = rms_norm(source.input_layernorm), rms_norm(source.post_attention_layernorm)
        self.gate_up, self.down, self.activation = fused([mlp.gate_proj, mlp.up_proj]), mlp.down_proj, mlp.act_fn

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        """Its output is `x` itself, to which it adds in place."""
        q, kv = self._project(x, run)
        add_output_(x, self.out, run.attend(self.index, q, kv, self.scale))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return add_output_(x, self.down, self.activation(gate).mul_(up))

    def fill(self, x: Tensor, run: Pass) -> None:
        run.write(self.index, self._project(x, run)[1])

    def _project(self, x: Tensor, run: Pass) -> tuple[Tensor, Tensor]:
        turned = self.heads + self.key_heads
        qkv = self.qkv(self.norm(x)).view(*x.shape[:2], turned + self.key_heads, self.width)
        rotate_(qkv[:, :, :turned], run.rotations[0])
        return qkv[:, :, : self.heads].transpose(1, 2), qkv[:, :, self.heads :]


def add_output_(x: Tensor, layer: nn.Module, y: Tensor) -> Tensor:
    """Add to `x` (..., outputs) what a layer makes of `y` (..., inputs).

    A plain product is accumulated in `x`, which saves the kernel of a sum. `layer` may be another kind of linear layer,
    or have a bias: then it is called.
    """
    if type(layer) is nn.Linear and layer.bias is None:
        x.view(-1, x.shape[-1]).addmm_(y.flatten(0, -2), layer.weight.t())
        return x
    return x.add_(layer(y))


def rms_norm(source: Any) -> nn.RMSNorm:
    """torch's RMSNorm for a `Qwen2RMSNorm`: one kernel instead of six."""
    norm = nn.RMSNorm(len(source.weight), eps=source.variance_epsilon, device="meta")
    norm.weight = source.weight
    return norm


class Qwen2Decoder(WordDecoder):
    """The decoder of a `Qwen2Model` with the head `head`; takes the source's layers, which cannot be run afterwards."""

    def __init__(self, source: Any, head: nn.Linear) -> None:
        """Raises WeightsUnavailable."""
        super().__init__()
        config = source.config
        require(config, model_type="qwen2")
        require_layers(config, "full_attention")
        require_rope(config, config.rope_parameters)
        self.words, self.norm, self.head = source.embed_tokens, rms_norm(source.norm), head
        self.vocabulary = head.out_features
        self.frequencies = nn.Buffer(source.rotary_emb.original_inv_freq.float(), persistent=False)
        blocks = take_layers(source.layers, Qwen2Block)
        self.blocks = nn.ModuleList(blocks)
        self.shape = CacheShape(len(blocks), blocks[0].key_heads, blocks[0].width)

    def start(self, embeddings: Tensor, run: Pass) -> Tensor:
        run.rotations = (rotation(run.positions, self.frequencies, embeddings.dtype),)
        return embeddings.clone()  # the blocks add to it, and a step's input must stay what it is
