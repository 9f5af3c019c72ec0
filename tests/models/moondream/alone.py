"""One row decoded by the letter: no cache, no batch, the whole sequence computed again for every token.

Only linear layers, norms and embeddings are the network's own; attention, masks, rotary positions and the loops of each
skill are written down here once more, from the specification and for one row.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from looksee.core.images import decode
from looksee.models.moondream.crops.encoder import ImageEncoder
from looksee.models.moondream.crops.tiling import cut
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.rows import DetectRow, MoondreamRow, PointRow, ReasoningRow
from looksee.models.moondream.sequence_items import CoordinateItem, SequenceItem, SizeItem


class UncachedDecoding:
    """The states of one sequence. `items` grows; every token is computed from nothing."""

    def __init__(self, model: Moondream, row: MoondreamRow) -> None:
        self.net = model.net
        self.items: list[SequenceItem] = list(row.prompt)
        self.prefix = torch.empty(0, model.config.text.dim)
        if row.image is not None:
            crops = cut(decode(row.image.data), model.config.vision)
            tokens = ImageEncoder(self.net, crops_at_once=1).image_tokens([crops])[0]
            self.prefix = torch.cat([self.net.text.wte[0][None], tokens])

    def hidden(self) -> Tensor:
        """The last state before the last LayerNorm, (width,)."""
        x = torch.cat([self.prefix, torch.stack([self._embedded(item) for item in self.items])])
        place = torch.arange(len(x))
        seen = (place[None] <= place[:, None]) | (place < len(self.prefix))[None] & (place < len(self.prefix))[:, None]
        for block in self.net.text.blocks:
            x = self._block(block, x, seen)
        return x[-1]

    def logits(self, *banned: int) -> Tensor:
        logits = self.net.text.lm_head(self.net.text.post_ln(self.hidden()))
        for token in banned:
            logits[token] = -math.inf
        return logits  # type: ignore[no-any-return]

    def token(self, *banned: int) -> int:
        return int(self.logits(*banned).argmax())

    def coordinate(self) -> float:
        return int(self.net.region.coord_decoder(self.hidden()).argmax()) / 1024

    def size(self) -> tuple[float, float]:
        wide, high = self.net.region.size_decoder(self.hidden()).view(2, 1024).argmax(-1).tolist()
        return 2 ** (wide / 1023 * 10 - 10), 2 ** (high / 1023 * 10 - 10)

    def _block(self, block: Any, x: Tensor, seen: Tensor) -> Tensor:
        y = block.ln(x)
        heads = self.net.config.text.n_heads
        q, k, v = (part.view(len(x), heads, -1).transpose(0, 1) for part in block.attn.qkv(y).chunk(3, dim=-1))
        scores = self._turned(q) @ self._turned(k).transpose(1, 2) / math.sqrt(q.shape[-1])
        mixed = scores.masked_fill(~seen, -math.inf).softmax(-1) @ v
        return x + block.attn.proj(mixed.transpose(0, 1).reshape(len(x), -1)) + block.mlp(y)  # type: ignore[no-any-return]

    def _turned(self, x: Tensor) -> Tensor:
        """Pairs of dimensions as complex numbers, turned by position times frequency."""
        quarter = x.shape[-1] // 4
        frequencies = torch.tensor([10000 ** (-2 * i / (2 * quarter)) for i in range(quarter)])
        angles = torch.outer(torch.arange(x.shape[1]).float(), frequencies)
        turned = torch.complex(x[..., :quarter], x[..., quarter : 2 * quarter]) * torch.polar(
            torch.ones_like(angles), angles
        )
        return torch.cat([turned.real, turned.imag, x[..., 2 * quarter :]], dim=-1)

    def _embedded(self, item: SequenceItem) -> Tensor:
        region = self.net.region
        match item:
            case CoordinateItem(value):
                angles = 2 * math.pi * torch.tensor([value]) @ region.coord_features
                return region.coord_encoder(torch.cat([angles.cos(), angles.sin()]))  # type: ignore[no-any-return]
            case SizeItem(width, height):
                angles = 2 * math.pi * torch.tensor([width, height]) @ region.size_features
                return region.size_encoder(torch.cat([angles.cos(), angles.sin()]))  # type: ignore[no-any-return]
            case _:
                return self.net.text.wte[item]


@torch.inference_mode()
def decoded(model: Moondream, row: MoondreamRow) -> list[SequenceItem]:
    """What a fresh row of any skill will have said and been fed in the end, with the id that ended it, if one did."""
    alone = UncachedDecoding(model, row)
    begun = len(alone.items)
    if isinstance(row, PointRow):
        _find(alone, row.max_new_tokens // row.items_per_object, boxes=isinstance(row, DetectRow))
    else:
        if isinstance(row, ReasoningRow):
            _think(alone, row.max_thoughts)
        _answer(alone, row.max_new_tokens)
    return alone.items[begun:]


def _answer(alone: UncachedDecoding, most: int) -> None:
    token = alone.token()
    for count in range(1, most + 1):
        alone.items.append(token)
        if token == 0:
            return
        if count < most:
            token = alone.token(3)


def _think(alone: UncachedDecoding, most: int) -> None:
    banned: tuple[int, ...] = ()
    for _ in range(most):
        token = alone.token(*banned)
        if token == 3:
            break
        alone.items.append(CoordinateItem(alone.coordinate()) if token == 5 else token)
        banned = (0, 6)
    alone.items.append(3)


def _find(alone: UncachedDecoding, most: int, *, boxes: bool) -> None:
    for _ in range(most):
        if alone.token() == 0:
            alone.items.append(0)
            return
        alone.items.append(CoordinateItem(alone.coordinate()))
        alone.items.append(CoordinateItem(alone.coordinate()))
        if boxes:
            alone.items.append(SizeItem(*alone.size()))
