"""The text model: blocks with attention and MLP in parallel behind one LayerNorm; rotary positions on half of a head.

A sequence is the image's prefix, whose positions all attend to each other, and items that attend causally.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from looksee.models.core.decoder import Decoder, DecoderBlock
from looksee.models.core.passes import Pass
from looksee.models.core.rotary import rotate_, rotation
from looksee.models.core.storage import CacheShape
from looksee.models.moondream.config import TextConfig
from looksee.models.moondream.network.layers import EPS, Mlp, attention_dtype

THETA = 10000.0


def frequencies(head_width: int, device: torch.device) -> Tensor:
    """Of the rotation of a head's first half, (head width / 4) float32; made anew, since no checkpoint has them."""
    rotated = head_width // 2
    steps = torch.arange(0, rotated, 2, device=device, dtype=torch.float32) / rotated
    # Multiplied with positions, as in training: dividing them differs by up to 4e-5 rad at position 730.
    return 1 / THETA**steps


class TextAttention(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads, self.width = config.n_heads, config.head_width
        self.scale = self.width**-0.5
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)

    def forward(self, x: Tensor, run: Pass, index: int) -> Tensor:
        qkv = self.project(x, run)
        queries, keys_values = qkv[:, :, : self.heads].transpose(1, 2), qkv[:, :, self.heads :]
        y: Tensor = self.proj(run.attend(index, queries, keys_values, self.scale).to(x.dtype))
        return y

    def project(self, x: Tensor, run: Pass) -> Tensor:
        """Queries, keys and values, (rows, fed, 3 * heads, head width) in the dtype of attention."""
        qkv: Tensor = self.qkv(x).view(*x.shape[:2], 3 * self.heads, self.width)
        qkv = qkv.to(attention_dtype(x.device, x.dtype))
        rotate_(qkv[:, :, : 2 * self.heads, : self.width // 2], run.rotations[0])
        return qkv


class TextBlock(DecoderBlock):
    def __init__(self, config: TextConfig, index: int) -> None:
        super().__init__()
        self.index = index
        self.ln = nn.LayerNorm(config.dim, eps=EPS)
        self.attn = TextAttention(config)
        self.mlp = Mlp(config.dim, config.ff_dim, config.dim)

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        y = self.ln(x)
        z: Tensor = x + self.attn(y, run, self.index) + self.mlp(y)
        return z

    def fill(self, x: Tensor, run: Pass) -> None:
        run.write(self.index, self.attn.project(self.ln(x), run)[:, :, self.attn.heads :])


class TextModel(Decoder):
    """The published parameters by their names. The two embeddings are not tied."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.shape = CacheShape(config.n_layers, config.n_heads, config.head_width)
        self.wte = nn.Parameter(torch.empty(config.vocab_size, config.dim))
        self.blocks = nn.ModuleList(TextBlock(config, index) for index in range(config.n_layers))
        self.post_ln = nn.LayerNorm(config.dim, eps=EPS)
        self.lm_head = nn.Linear(config.dim, config.vocab_size)
        self.vocabulary = config.vocab_size

    def embed(self, ids: Tensor) -> Tensor:
        return self.wte[ids]

    def start(self, embeddings: Tensor, run: Pass) -> Tensor:
        # In float32 whatever the weights are, as the published code rotates.
        angles = frequencies(self.config.head_width, embeddings.device)
        run.rotations = (rotation(run.positions, angles, torch.float32),)
        return embeddings

    def logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.lm_head(self.post_ln(hidden))
        return logits.float()
