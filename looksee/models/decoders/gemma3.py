"""The decoder of Gemma 3 (Gemma Team 2025, arXiv:2503.19786): most of its layers attend to a window of positions."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from looksee.models.core.decoder import DecoderBlock
from looksee.models.core.layers import fused
from looksee.models.core.passes import Pass, Window
from looksee.models.core.rotary import rotate_, rotation
from looksee.models.core.storage import CacheShape
from looksee.models.decoders.support import require, require_layers, require_rope, take_layers
from looksee.models.decoders.word_decoder import WordDecoder


class Gemma3Block(DecoderBlock):
    """Attention with normalised queries and keys, and a gated MLP, each between two RMSNorms."""

    def __init__(self, source: Any, index: int, kinds: list[str]) -> None:
        """Of a `Gemma3DecoderLayer`; `kinds` are the types of layers, in the order of a pass's rotations."""
        super().__init__()
        self.index = index
        attention, mlp, config = source.self_attn, source.mlp, source.self_attn.config
        self.rotation_index = kinds.index(attention.layer_type)
        self.heads: int = config.num_attention_heads
        self.key_heads: int = config.num_key_value_heads
        self.width: int = attention.head_dim
        self.scale: float = attention.scaling
        self.window: Window = attention.sliding_window
        self.qkv = fused([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = attention.o_proj
        self.eps: float = attention.q_norm.eps
        q, k = (1 + norm.weight.detach().float() for norm in (attention.q_norm, attention.k_norm))
        weights = torch.cat([q.expand(self.heads, -1), k.expand(self.key_heads, -1)])
        self.qk_norm = nn.Buffer(weights.to(attention.q_norm.weight.dtype), persistent=False)
        self.norm, self.attention_norm = rms_norm(source.input_layernorm), rms_norm(source.post_attention_layernorm)
        self.mlp_norm = rms_norm(source.pre_feedforward_layernorm)
        self.out_norm = rms_norm(source.post_feedforward_layernorm)
        self.gate_up, self.down, self.activation = fused([mlp.gate_proj, mlp.up_proj]), mlp.down_proj, mlp.act_fn

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        q, kv = self._project(x, run)
        x = x + self.attention_norm(self.out(run.attend(self.index, q, kv, self.scale, self.window)))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        z: Tensor = x + self.out_norm(self.down(self.activation(gate).mul_(up)))
        return z

    def fill(self, x: Tensor, run: Pass) -> None:
        run.write(self.index, self._project(x, run)[1])

    def _project(self, x: Tensor, run: Pass) -> tuple[Tensor, Tensor]:
        turned = self.heads + self.key_heads
        qkv = self.qkv(self.norm(x)).view(*x.shape[:2], turned + self.key_heads, self.width)
        # One norm for queries and keys, then each head's own weights; beside the values again, where they came from.
        qk = qkv[:, :, :turned]
        torch.mul(nn.functional.rms_norm(qk, (self.width,), eps=self.eps), self.qk_norm, out=qk)
        rotate_(qk, run.rotations[self.rotation_index])
        return qkv[:, :, : self.heads].transpose(1, 2), qkv[:, :, self.heads :]


def rms_norm(source: Any) -> nn.RMSNorm:
    """torch's RMSNorm for a `Gemma3RMSNorm`, which multiplies by 1 + weight: one kernel instead of seven.

    The sum is kept in the weights' dtype; its rounding is that of the norm's result.
    """
    norm = nn.RMSNorm(len(source.weight), eps=source.eps, device="meta")
    weight = (1 + source.weight.detach().float()).to(source.weight.dtype)
    norm.weight = nn.Parameter(weight, requires_grad=False)
    return norm


class Gemma3Decoder(WordDecoder):
    """The decoder of a `Gemma3TextModel` with the head `head`; takes the source's layers, which cannot be run then."""

    def __init__(self, source: Any, head: nn.Linear) -> None:
        """Raises WeightsUnavailable."""
        super().__init__()
        config = source.config
        require(config, model_type="gemma3_text", attention_bias=False, use_bidirectional_attention=False)
        require(config, attn_logit_softcapping=None, final_logit_softcapping=None)
        require_layers(config, "full_attention", "sliding_attention")
        kinds = sorted(set(config.layer_types))  # each has frequencies of its own
        for kind in kinds:
            require_rope(config, config.rope_parameters[kind])
        self.words, self.norm, self.head = source.embed_tokens, rms_norm(source.norm), head
        self.vocabulary = head.out_features
        frequencies = [getattr(source.rotary_emb, f"{kind}_original_inv_freq").float() for kind in kinds]
        self.frequencies = nn.Buffer(torch.stack(frequencies), persistent=False)
        blocks = take_layers(source.layers, partial(Gemma3Block, kinds=kinds))
        self.blocks = nn.ModuleList(blocks)
        self.shape = CacheShape(len(blocks), blocks[0].key_heads, blocks[0].width)

    def start(self, embeddings: Tensor, run: Pass) -> Tensor:
        run.rotations = tuple(
            rotation(run.positions, frequencies, embeddings.dtype) for frequencies in self.frequencies
        )
        return embeddings
