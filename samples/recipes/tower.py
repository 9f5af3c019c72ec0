"""The vision towers of the sample weights: what their patches learn, and how the later ones start from BLIP's.

All of the models see through a plain pre-norm vision transformer. BLIP's sample weights learn to see scenes from
nothing; the towers of the others, which have the same sizes under other names, begin with what it has learnt.
"""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from looksee.models.weights.source import SAMPLES
from samples.world.scenes import COLOURS, MAX_THINGS, SHAPES, Scene

IMAGE_SIZE = 80
PATCH_SIZE = 8
GRID = IMAGE_SIZE // PATCH_SIZE
WIDTH = 128
LAYERS = 4
HEADS = 4
INNER_WIDTH = 2 * WIDTH
IGNORED = -100
_ROW_SCALE = 4.0  # louder than columns, which the tower's layers know already

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the labels that count; `logits` are (..., classes), `labels` (...)."""
    return nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


class PatchLoss(nn.Module):
    """A loss that exists in training only.

    Each picture patch says which coloured shape covers it, and which of the things, from left to right, that is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kind_head = nn.Linear(WIDTH, len(COLOURS) * len(SHAPES) + 1)
        self.place_head = nn.Linear(WIDTH, MAX_THINGS + 1)

    def forward(self, patches: Tensor, labels: Tensor) -> Tensor:
        """`patches` are (pictures, patches, width), `labels` (pictures, 2, patches)."""
        kinds, places = labels.unbind(1)
        return cross_entropy(self.kind_head(patches), kinds) + cross_entropy(self.place_head(patches), places)


def patch_labels(scene: Scene) -> tuple[list[int], list[int]]:
    """For each patch, row by row: which of the 24 coloured shapes covers its middle, and which thing that is.

    Both count from 1; 0 is the ground.
    """
    kinds, places = [], []
    for row in range(GRID):
        for column in range(GRID):
            x, y = (column + 0.5) / GRID, (row + 0.5) / GRID
            kind = place = 0
            for number, thing in enumerate(scene.things, start=1):
                if abs(x - thing.x) <= thing.half_width and abs(y - thing.y) <= thing.half_height:
                    kind = 1 + list(COLOURS).index(thing.colour) * len(SHAPES) + SHAPES.index(thing.shape)
                    place = number
            kinds.append(kind)
            places.append(place)
    return kinds, places


def learnt(mean: tuple[float, ...], std: tuple[float, ...]) -> dict[str, Tensor]:
    """BLIP's tower by its own names, its patch embedding rewritten for pixels normalised with `mean` and `std`."""
    whole = load_file(SAMPLES / "blip" / "model.safetensors")
    tower = {name.removeprefix("vision_model."): part for name, part in whole.items() if name.startswith("vision_")}
    # pixel = own * std + mean for either pair, and the embedding is linear in the pixel.
    weight = tower["embeddings.patch_embedding.weight"]
    here, there = (torch.tensor(numbers)[None, :, None, None] for numbers in (std, CLIP_STD))
    shift = (torch.tensor(mean) - torch.tensor(CLIP_MEAN))[None, :, None, None] / there
    tower["embeddings.patch_embedding.bias"] = tower["embeddings.patch_embedding.bias"] + (weight * shift).sum(
        (1, 2, 3)
    )
    tower["embeddings.patch_embedding.weight"] = weight * here / there
    return tower


def split(tower: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with `qkv` as three parts, `q_proj`, `k_proj` and `v_proj`."""
    found = {}
    for name, part in tower.items():
        if ".qkv." not in name:
            found[name] = part
            continue
        for letter, third in zip("qkv", part.chunk(3), strict=True):
            found[name.replace(".qkv.", f".{letter}_proj.")] = third.clone()
    return found


def with_rows(positions: Tensor) -> Tensor:
    """Position embeddings (1, patches, width) that tell rows too: as these tell columns, in other directions.

    BLIP names things from left to right and never has to say how high they are. A patch's row can hardly be told from
    what it has learnt, and after 250 steps without this no picture token of Moondream's knew how high its thing was.
    """
    columns = positions.view(GRID, GRID, WIDTH).mean(0)
    turn = nn.init.orthogonal_(torch.empty(WIDTH, WIDTH))
    rows = (_ROW_SCALE * columns @ turn)[:, None].expand(GRID, GRID, WIDTH)
    return positions + rows.reshape(1, GRID**2, WIDTH)
