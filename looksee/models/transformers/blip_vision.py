"""Attention of BLIP's vision tower in one kernel. The library's writes all scores to memory, and scales them there."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


class BlipVisionAttention(nn.Module):
    """In the place of a `BlipAttention`, with its layers under their names."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self.heads: int = source.num_heads
        self.qkv, self.projection = source.qkv, source.projection

    def forward(self, hidden_states: Tensor, **ignored: Any) -> tuple[Tensor, None]:
        """(pictures, patches, width) to the same; no scores, as the library returns beside it."""
        pictures, patches, width = hidden_states.shape
        qkv = self.qkv(hidden_states).view(pictures, patches, 3, self.heads, width // self.heads)
        attended = functional.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        return self.projection(attended.transpose(1, 2).reshape(pictures, patches, width)), None


def replace_attention(vision_model: Any) -> None:
    """Use it in all layers of a `BlipVisionModel`."""
    for layer in vision_model.encoder.layers:
        layer.self_attn = BlipVisionAttention(layer.self_attn)
