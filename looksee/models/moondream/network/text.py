"""The text model: parallel blocks of attention and MLP over one LayerNorm, rotary positions on half of a head's width.

A sequence is the picture's prefix, whose positions all see each other, and what follows, which sees what was before.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from looksee.models.moondream.config import TextConfig
from looksee.models.moondream.network.cache import KVCache
from looksee.models.moondream.network.layers import EPS, Mlp, attention_dtype, merge_heads, split_heads

THETA = 10000.0

Rotation = tuple[Tensor, Tensor]  # cosines and sines, float32, (rows, 1, length, a quarter of the head width)


def rotation(positions: Tensor, head_width: int) -> Rotation:
    """The rotation of `positions` (rows, length). Nothing is kept: a table would have to be saved from loading."""
    rotated = head_width // 2
    steps = torch.arange(0, rotated, 2, device=positions.device, dtype=torch.float32) / rotated
    frequencies = 1 / THETA**steps  # multiplied by, as in training: dividing is off by up to 4e-5 rad at position 730
    angles = positions[:, None, :, None].float() * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Turn dimension i with i + quarter in the first half of (..., rows, heads, length, head width), in float32."""
    cos, sin = by
    quarter = cos.shape[-1]
    first, second = x[..., : 2 * quarter].float().chunk(2, dim=-1)
    turned = torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin)
    return torch.cat([*(part.to(x.dtype) for part in turned), x[..., 2 * quarter :]], dim=-1)


def causal(positions: Tensor, slots: int) -> Tensor:
    """The mask (rows, 1, length, slots) by which `positions` (rows, length) see the slots up to their own."""
    return (torch.arange(slots, device=positions.device) <= positions[:, :, None])[:, None]


def _for_attention(x: Tensor) -> Tensor:
    return x.to(attention_dtype(x.device, x.dtype))


class TextAttention(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads = config.n_heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)

    def forward(
        self, x: Tensor, layer: int, cache: KVCache, where: tuple[Tensor, Tensor], by: Rotation, mask: Tensor
    ) -> Tensor:
        q, k, v = self._project(x, by)
        keys, values = cache.write(layer, where, k, v)
        return self._attend(q, keys, values, mask)

    def read(self, x: Tensor, by: Rotation) -> tuple[Tensor, Tensor]:
        """Positions that all see each other and nothing else: what they see, and what `keys_values` says."""
        q, k, v = self._project(x, by)
        return self._attend(q, k, v, None), torch.stack([k, v])

    def keys_values(self, x: Tensor, by: Rotation) -> Tensor:
        """Keys and values alone, (2, rows, heads, length, head width)."""
        width = self.proj.in_features
        projected = functional.linear(x, self.qkv.weight[width:], self.qkv.bias[width:])
        k, v = split_heads(_for_attention(projected), 2, self.heads)
        return torch.stack([rotate(k, by), v])

    def _project(self, x: Tensor, by: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        parts = split_heads(_for_attention(self.qkv(x)), 3, self.heads)
        q, k = rotate(parts[:2], by)
        return q, k, parts[2]

    def _attend(self, q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        y = functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        out: Tensor = self.proj(merge_heads(y).to(self.proj.weight.dtype))
        return out


class TextBlock(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(config.dim, eps=EPS)
        self.attn = TextAttention(config)
        self.mlp = Mlp(config.dim, config.ff_dim, config.dim)

    def forward(
        self, x: Tensor, layer: int, cache: KVCache, where: tuple[Tensor, Tensor], by: Rotation, mask: Tensor
    ) -> Tensor:
        y = self.ln(x)
        z: Tensor = x + self.attn(y, layer, cache, where, by, mask) + self.mlp(y)
        return z

    def read(self, x: Tensor, by: Rotation) -> tuple[Tensor, Tensor]:
        """As `TextAttention.read`."""
        y = self.ln(x)
        seen, keys_values = self.attn.read(y, by)
        return x + seen + self.mlp(y), keys_values

    def keys_values(self, x: Tensor, by: Rotation) -> Tensor:
        """As `TextAttention.keys_values`."""
        return self.attn.keys_values(self.ln(x), by)


class TextModel(nn.Module):
    """Embeddings to hidden states, and hidden states to logits. The two embeddings are not tied."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Parameter(torch.empty(config.vocab_size, config.dim))
        self.blocks = nn.ModuleList(TextBlock(config) for _ in range(config.n_layers))
        self.post_ln = nn.LayerNorm(config.dim, eps=EPS)
        self.lm_head = nn.Linear(config.dim, config.vocab_size)

    def forward(self, x: Tensor, positions: Tensor, cache: KVCache, mask: Tensor) -> Tensor:
        """Embeddings (rows, length, width) at `positions` (rows, length) to hidden states before the last LayerNorm.

        Their keys and values are written to `cache`. `mask` (rows, 1, length, slots) says which slots a position sees.
        """
        rows = torch.arange(len(x), device=x.device)[:, None]
        by = rotation(positions, self.config.head_width)
        for layer, block in enumerate(self.blocks):
            x = block(x, layer, cache, (rows, positions), by, mask)
        return x

    def read(self, x: Tensor) -> list[Tensor]:
        """Embeddings (rows, length, width) from position 0 on that all see each other: for each layer their keys and
        values, (2, rows, heads, length, head width).

        Nobody asks for the states behind the last layer, so of that layer nothing else is computed.
        """
        positions = torch.arange(x.shape[1], device=x.device)[None]
        by = rotation(positions, self.config.head_width)
        *blocks, last = cast(list[TextBlock], list(self.blocks))
        layers = []
        for block in blocks:
            x, keys_values = block.read(x, by)
            layers.append(keys_values)
        return [*layers, last.keys_values(x, by)]

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., width) to logits (..., vocabulary), float32."""
        logits: Tensor = self.lm_head(self.post_ln(hidden))
        return logits.float()
