"""The decoder of Gemma 3 (Gemma Team 2025, arXiv:2503.19786): most of its layers attend to a window of positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from looksee.models.core.decoder import Decoder, DecoderBlock
from looksee.models.core.layers import fused
from looksee.models.core.passes import Pass, Window
from looksee.models.core.rotary import rotate_, rotation
from looksee.models.core.storage import CacheShape
from looksee.models.decoders.support import require

_KINDS = ("full_attention", "sliding_attention")  # of layers, in the order of a pass's rotations


class Gemma3Block(DecoderBlock):
    """Attention with normalised queries and keys, and a gated MLP, each between two RMSNorms."""

    def __init__(self, source: Any, index: int) -> None:
        """Of a `Gemma3DecoderLayer`."""
        super().__init__()
        self.index = index
        attention, mlp, config = source.self_attn, source.mlp, source.self_attn.config
        self.heads: int = config.num_attention_heads
        self.key_heads: int = config.num_key_value_heads
        self.width: int = attention.head_dim
        self.scale: float = attention.scaling
        self.kind = _KINDS.index(attention.layer_type)
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
        # One norm for queries and keys, then each head's own weights.
        qk = nn.functional.rms_norm(qkv[:, :, :turned], (self.width,), eps=self.eps).mul_(self.qk_norm)
        rotate_(qk, run.rotations[self.kind])
        kv = torch.cat([qk[:, :, self.heads :], qkv[:, :, turned:]], dim=2)
        return qk[:, :, : self.heads].transpose(1, 2), kv


def rms_norm(source: Any) -> nn.RMSNorm:
    """torch's RMSNorm for a `Gemma3RMSNorm`, which multiplies by 1 + weight: one kernel instead of seven.

    The sum is kept in the weights' dtype; its rounding is that of the norm's result.
    """
    norm = nn.RMSNorm(len(source.weight), eps=source.eps, device="meta")
    weight = (1 + source.weight.detach().float()).to(source.weight.dtype)
    norm.weight = nn.Parameter(weight, requires_grad=False)
    return norm


class Gemma3Decoder(Decoder):
    """The decoder of a `Gemma3TextModel` with the head `head`; takes the source's layers, which cannot be run then."""

    def __init__(self, source: Any, head: nn.Linear) -> None:
        """Raises WeightsUnavailable."""
        super().__init__()
        config = source.config
        require(
            config,
            attention_bias=False,
            attn_logit_softcapping=None,
            final_logit_softcapping=None,
            use_bidirectional_attention=False,
        )
        self.words, self.norm, self.head = source.embed_tokens, rms_norm(source.norm), head
        rotary = source.rotary_emb
        self.scalings = [float(getattr(rotary, f"{kind}_attention_scaling")) for kind in _KINDS]
        frequencies = [getattr(rotary, f"{kind}_inv_freq").float() for kind in _KINDS]
        self.frequencies = nn.Buffer(torch.stack(frequencies), persistent=False)
        for kind in rotary.rope_type.values():
            if kind not in ("default", "linear"):
                require(config, rope_type="default or linear")
        self.shape = CacheShape(len(source.layers), config.num_key_value_heads, source.layers[0].self_attn.head_dim)
        self.blocks = nn.ModuleList()
        for index, layer in enumerate(source.layers):
            self.blocks.append(Gemma3Block(layer, index))
            source.layers[index] = nn.Identity()  # its parts are copied: nothing may hold both

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.words(ids)
        return embedded

    def start(self, embeddings: Tensor, run: Pass) -> Tensor:
        run.rotations = tuple(
            rotation(run.positions, frequencies, scaling, embeddings.dtype)
            for frequencies, scaling in zip(self.frequencies, self.scalings, strict=True)
        )
        return embeddings

    def logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(hidden))
        return logits.float()
