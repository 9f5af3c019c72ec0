"""Crops to image tokens: the vision tower over crops, and the merging of an image's crops."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from looksee.models.moondream.crops.merge import pool, stitch
from looksee.models.moondream.crops.tiling import Crops, normalised
from looksee.models.moondream.network.network import Network


class ImageEncoder:
    """Encodes images with a network's vision tower, at most `crops_at_once` crops in one pass."""

    def __init__(self, net: Network, *, crops_at_once: int) -> None:
        self._net, self._crops_at_once = net, crops_at_once

    def crop_features(self, crops: Tensor) -> Tensor:
        """Crops (crops, side, side, 3) uint8, on any device, to features (crops, patches, width)."""
        net = self._net
        return torch.cat(
            [net.vision(normalised(part.to(net.device), net.dtype)) for part in torch.split(crops, self._crops_at_once)]
        )

    def image_tokens(self, images: Sequence[Crops]) -> Tensor:
        """Images of any tilings to image tokens (images, patches, width of the text model)."""
        vision = self._net.config.vision
        # The only local crop of an image has the pixels of the global one, so it is encoded once.
        crops = [image.pixels[:1] if len(image.pixels) == 2 else image.pixels for image in images]
        features = self.crop_features(torch.cat(crops))
        whole, pooled = [], []
        for image, own in zip(images, torch.split(features, [len(part) for part in crops]), strict=True):
            whole.append(own[0])
            if len(own) == 1:
                pooled.append(own[0])
                continue
            local = own[1:].view(-1, vision.grid, vision.grid, own.shape[-1])
            plane = stitch(local, image.rows, image.columns, vision.overlap_margin)
            pooled.append(pool(plane, vision.grid).flatten(0, 1))
        return self._net.vision.project(torch.stack(whole), torch.stack(pooled))
