"""A Qwen 2 decoder as a plain PyTorch module, for engines that convert one: keys and values come in and go out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainDecoder(nn.Module):
    """The layers and head of a transformers' Qwen 2, whose modules it uses.

    Called with embeddings (rows, fed, width), positions int64 (rows, fed), a mask that is added (rows, 1, fed, all) and
    each layer's keys and values so far (rows, key heads, before, head width), it returns the last token's logits
    (rows, vocabulary) and each layer's keys and values with those of the pass.
    """

    def __init__(self, source: Any, head: nn.Linear) -> None:
        super().__init__()
        config = source.config
        self.layers, self.norm, self.head = source.layers, source.norm, head
        self.heads, self.key_heads = config.num_attention_heads, config.num_key_value_heads
        self.width = config.hidden_size // self.heads
        self.frequencies = nn.Buffer(source.rotary_emb.original_inv_freq.float(), persistent=False)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        angles = positions[:, None, :, None].float() * self.frequencies
        turns = torch.cat([angles, angles], dim=-1)
        cos, sin = turns.cos().to(x.dtype), turns.sin().to(x.dtype)
        kept: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            attention, mlp = layer.self_attn, layer.mlp
            y = layer.input_layernorm(x)
            q = rotated(self._heads(attention.q_proj(y), self.heads), cos, sin)
            k = rotated(self._heads(attention.k_proj(y), self.key_heads), cos, sin)
            v = self._heads(attention.v_proj(y), self.key_heads)
            k, v = torch.cat([past[2 * index], k], dim=2), torch.cat([past[2 * index + 1], v], dim=2)
            kept += [k, v]
            y = functional.scaled_dot_product_attention(q, self._repeated(k), self._repeated(v), attn_mask=mask)
            x = x + attention.o_proj(y.transpose(1, 2).reshape(x.shape))
            y = layer.post_attention_layernorm(x)
            x = x + mlp.down_proj(functional.silu(mlp.gate_proj(y)) * mlp.up_proj(y))
        return self.head(self.norm(x[:, -1])), *kept

    def _heads(self, x: Tensor, heads: int) -> Tensor:
        return x.view(x.shape[0], x.shape[1], heads, self.width).transpose(1, 2)

    def _repeated(self, x: Tensor) -> Tensor:
        """A key head for each query head."""
        rows, heads, length, width = x.shape
        shared = self.heads // self.key_heads
        repeated = x[:, :, None].expand(rows, heads, shared, length, width)
        return repeated.reshape(rows, self.heads, length, width)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    one, other = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-other, one], dim=-1) * sin


def causal(rows: int, fed: int, before: int) -> Tensor:
    """The mask (rows, 1, fed, before + fed) float32 of tokens behind `before` others: 0, or minus infinity."""
    allowed = torch.ones(fed, before + fed, dtype=torch.bool).tril(before)
    return torch.zeros(allowed.shape).masked_fill_(~allowed, -torch.inf).expand(rows, 1, -1, -1)
