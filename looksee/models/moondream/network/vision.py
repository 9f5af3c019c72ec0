"""The vision tower: a ViT like SigLIP's over crops, and the projection of a patch's two features to an image token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from looksee.models.moondream.config import VisionConfig
from looksee.models.moondream.network.layers import EPS, Mlp, merge_heads, split_heads


class VisionAttention(nn.Module):
    """Attention of all patches of a crop to each other."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.enc_n_heads
        self.qkv = nn.Linear(config.enc_dim, 3 * config.enc_dim)
        self.proj = nn.Linear(config.enc_dim, config.enc_dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = split_heads(self.qkv(x), 3, self.heads)
        y: Tensor = self.proj(merge_heads(functional.scaled_dot_product_attention(q, k, v)))
        return y


class VisionBlock(nn.Module):
    """A pre-norm transformer block: (crops, patches, width) to the same."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(config.enc_dim, eps=EPS)
        self.attn = VisionAttention(config)
        self.ln2 = nn.LayerNorm(config.enc_dim, eps=EPS)
        self.mlp = Mlp(config.enc_dim, config.enc_ff_dim, config.enc_dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        y: Tensor = x + self.mlp(self.ln2(x))
        return y


class VisionModel(nn.Module):
    """Crops to features, and pairs of features to image tokens."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_emb = nn.Linear(config.in_channels * config.enc_patch_size**2, config.enc_dim)
        self.pos_emb = nn.Parameter(torch.empty(1, config.grid**2, config.enc_dim))
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.enc_n_layers))
        self.post_ln = nn.LayerNorm(config.enc_dim, eps=EPS)
        self.proj_mlp = Mlp(2 * config.enc_dim, config.proj_inner_dim, config.proj_out_dim)

    def forward(self, crops: Tensor) -> Tensor:
        """Normalised crops (crops, side, side, 3) to features (crops, patches, width)."""
        x = self.patch_emb(self._patches(crops)) + self.pos_emb
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.post_ln(x)
        return features

    def project(self, whole: Tensor, pooled: Tensor) -> Tensor:
        """Image tokens (..., text width) of patches' features in the global crop and in the pooled local ones.

        Both are (..., width).
        """
        tokens: Tensor = self.proj_mlp(torch.cat([whole, pooled], dim=-1))
        return tokens

    def _patches(self, crops: Tensor) -> Tensor:
        """Patches in row-major order, each flattened channel by channel: (crops, patches, 3 * patch * patch)."""
        grid, patch, channels = self.config.grid, self.config.enc_patch_size, self.config.in_channels
        parts = crops.view(len(crops), grid, patch, grid, patch, channels).permute(0, 1, 3, 5, 2, 4)
        return parts.reshape(len(crops), grid**2, channels * patch**2)
