"""The text model: blocks with attention and MLP in parallel behind one LayerNorm; rotary positions on half of a head.

A sequence is the image's prefix, whose positions all attend to each other, and items that attend causally.
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

Rotation = tuple[Tensor, Tensor]  # cosines and sines, float32, (rows, 1, length, head width / 4)


def rotation(positions: Tensor, head_width: int) -> Rotation:
    """The rotation of `positions` (rows, length), computed anew: a table would be a buffer that no checkpoint has."""
    rotated = head_width // 2
    steps = torch.arange(0, rotated, 2, device=positions.device, dtype=torch.float32) / rotated
    frequencies = 1 / THETA**steps  # multiplied, as in training: dividing differs by up to 4e-5 rad at position 730
    angles = positions[:, None, :, None].float() * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Rotate dimension i with i + quarter in the first half of (..., rows, heads, length, head width), in float32."""
    cos, sin = by
    quarter = cos.shape[-1]
    first, second = x[..., : 2 * quarter].float().chunk(2, dim=-1)
    turned = torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin)
    return torch.cat([*(part.to(x.dtype) for part in turned), x[..., 2 * quarter :]], dim=-1)


def causal(positions: Tensor, length: int) -> Tensor:
    """The mask (rows, 1, fed, length) by which `positions` (rows, fed) attend to those up to their own."""
    return (torch.arange(length, device=positions.device) <= positions[:, :, None])[:, None]


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

    def encode(self, x: Tensor, by: Rotation) -> tuple[Tensor, Tensor]:
        """Attention of positions to all of each other: its output, and the keys and values as in `keys_values`."""
        q, k, v = self._project(x, by)
        return self._attend(q, k, v, None), torch.stack([k, v])

    def keys_values(self, x: Tensor, by: Rotation) -> Tensor:
        """Only keys and values, (2, rows, heads, length, head width)."""
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

    def encode(self, x: Tensor, by: Rotation) -> tuple[Tensor, Tensor]:
        """As `TextAttention.encode`."""
        y = self.ln(x)
        attended, keys_values = self.attn.encode(y, by)
        return x + attended + self.mlp(y), keys_values

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
        """Embeddings (rows, fed, width) at `positions` (rows, fed) to hidden states before the last LayerNorm.

        Their keys and values are written to `cache`. `mask` (rows, 1, fed, cache length) bool is True where a position
        attends to one in the cache.
        """
        rows = torch.arange(len(x), device=x.device)[:, None]
        by = rotation(positions, self.config.head_width)
        for layer, block in enumerate(self.blocks):
            x = block(x, layer, cache, (rows, positions), by, mask)
        return x

    def encode_prefix(self, x: Tensor) -> list[Tensor]:
        """Keys and values of each layer, (2, rows, heads, length, head width), for embeddings (rows, length, width).

        The positions are 0 and up, and all attend to each other. The last layer's output is not needed, so of that
        layer only keys and values are computed.
        """
        positions = torch.arange(x.shape[1], device=x.device)[None]
        by = rotation(positions, self.config.head_width)
        *blocks, last = cast(list[TextBlock], list(self.blocks))
        layers = []
        for block in blocks:
            x, keys_values = block.encode(x, by)
            layers.append(keys_values)
        return [*layers, last.keys_values(x, by)]

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., width) to logits (..., vocabulary), float32."""
        logits: Tensor = self.lm_head(self.post_ln(hidden))
        return logits.float()
