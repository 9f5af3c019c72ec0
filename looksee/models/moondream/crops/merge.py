"""From the features of overlapping local crops to features of the whole image, as many as one crop has.

Between neighbours both margins are dropped, so every feature comes from the inside of its crop. The remaining features
are averaged to the grid of one crop. The average is linear and separable, so it is two small matrix products; that also
runs on MPS, which has no adaptive pooling where the lengths do not divide.
"""

from __future__ import annotations

import torch
from torch import Tensor


def inner_indices(crops: int, grid: int, margin: int) -> list[int]:
    """Of the `crops * grid` rows (or columns) of adjacent crops, those outside the margins between neighbours."""
    return [
        crop * grid + index
        for crop in range(crops)
        for index in range(margin if crop > 0 else 0, grid - margin if crop < crops - 1 else grid)
    ]


def stitch(features: Tensor, rows: int, columns: int, margin: int) -> Tensor:
    """Features (rows * columns, grid, grid, width) in row-major order as one plane (high, wide, width)."""
    grid, width = features.shape[1], features.shape[-1]
    plane = features.view(rows, columns, grid, grid, width).transpose(1, 2).reshape(rows * grid, columns * grid, width)
    high, wide = (torch.tensor(inner_indices(crops, grid, margin), device=features.device) for crops in (rows, columns))
    return plane[high][:, wide]


def pool(plane: Tensor, grid: int) -> Tensor:
    """(high, wide, width) averaged over `grid` x `grid` windows: (grid, grid, width) of the same dtype, by float32."""
    down, across = (_windows(length, grid, plane.device) for length in plane.shape[:2])
    return torch.einsum("gh,hwd,kw->gkd", down, plane.float(), across).to(plane.dtype)


def _windows(length: int, grid: int, device: torch.device) -> Tensor:
    """(grid, length) weights: window i is the mean from floor(i * length / grid) to ceil((i + 1) * length / grid)."""
    weights = torch.zeros(grid, length)
    for window in range(grid):
        start, end = window * length // grid, -((window + 1) * length // -grid)
        weights[window, start:end] = 1 / (end - start)
    return weights.to(device)
