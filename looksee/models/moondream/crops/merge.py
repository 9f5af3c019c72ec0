"""From the features of overlapping local crops to those of the whole picture, as large as one crop's.

Between neighbours both margins are dropped, so that every feature comes from a crop in whose inside it lies. What is
left is averaged to the size of one crop. Both are linear and treat rows and columns alike, so the average is two small
matrix products; that also runs where a device has no adaptive pooling for lengths that do not divide (Apple's).
"""

from __future__ import annotations

import torch
from torch import Tensor


def kept(tiles: int, grid: int, margin: int) -> list[int]:
    """Which of the `tiles * grid` rows (or columns) of crops laid end to end stay."""
    return [
        tile * grid + line
        for tile in range(tiles)
        for line in range(margin if tile > 0 else 0, grid - margin if tile < tiles - 1 else grid)
    ]


def stitch(features: Tensor, rows: int, columns: int, margin: int) -> Tensor:
    """Features (rows * columns, grid, grid, width), row by row, as one (high, wide, width)."""
    grid, width = features.shape[1], features.shape[-1]
    plane = features.view(rows, columns, grid, grid, width).transpose(1, 2).reshape(rows * grid, columns * grid, width)
    high, wide = (torch.tensor(kept(tiles, grid, margin), device=features.device) for tiles in (rows, columns))
    return plane[high][:, wide]


def pool(plane: Tensor, grid: int) -> Tensor:
    """The average of (high, wide, width) over `grid` x `grid` windows, computed in float32, in the dtype it came in."""
    down, across = (_windows(length, grid, plane.device) for length in plane.shape[:2])
    return torch.einsum("gh,hwd,kw->gkd", down, plane.float(), across).to(plane.dtype)


def _windows(length: int, grid: int, device: torch.device) -> Tensor:
    """(grid, length) weights: window i is the mean from floor(i * length / grid) to ceil((i + 1) * length / grid)."""
    weights = torch.zeros(grid, length)
    for window in range(grid):
        start, end = window * length // grid, -((window + 1) * length // -grid)
        weights[window, start:end] = 1 / (end - start)
    return weights.to(device)
