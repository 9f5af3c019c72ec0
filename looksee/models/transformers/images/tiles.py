"""The grid of tiles that an image is cut into (dynamic high resolution of InternVL 1.5, arXiv:2404.16821)."""

from __future__ import annotations


def grid(image: tuple[int, int], tile: tuple[int, int], max_tiles: int) -> tuple[int, int]:
    """(columns, rows), together at most `max_tiles`, whose aspect ratio is closest to the image's.

    `image` and `tile` are (width, height) in pixels. Of grids with equal ratios the one with more tiles is taken, as
    long as the image has more than half the pixels of all its tiles.
    """
    width, height = image
    best, smallest_difference = (1, 1), float("inf")
    for columns, rows in _grids(max_tiles):
        difference = abs(width / height - columns / rows)
        large_enough = width * height > 0.5 * columns * rows * tile[0] * tile[1]
        if difference < smallest_difference or (difference == smallest_difference and large_enough):
            best, smallest_difference = (columns, rows), difference
    return best


def _grids(max_tiles: int) -> list[tuple[int, int]]:
    """All (columns, rows) with at most `max_tiles` tiles, by their number of tiles."""
    grids = [(columns, rows) for columns in range(1, max_tiles + 1) for rows in range(1, max_tiles // columns + 1)]
    return sorted(grids, key=lambda pair: pair[0] * pair[1])
