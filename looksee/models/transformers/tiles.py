"""Into which grid of tiles a picture is cut (the dynamic high resolution of InternVL 1.5, arXiv:2404.16821)."""

from __future__ import annotations


def grid(picture: tuple[int, int], tile: tuple[int, int], most: int) -> tuple[int, int]:
    """(columns, rows) of at most `most` tiles whose shape comes closest to the picture's; sizes are (width, height).

    Of grids of the same shape the one with more tiles is taken, as long as the picture has more than half the pixels of
    all its tiles.
    """
    width, height = picture
    best, least = (1, 1), float("inf")
    for columns, rows in _grids(most):
        difference = abs(width / height - columns / rows)
        large_enough = width * height > 0.5 * columns * rows * tile[0] * tile[1]
        if difference < least or (difference == least and large_enough):
            best, least = (columns, rows), difference
    return best


def _grids(most: int) -> list[tuple[int, int]]:
    found = [(columns, rows) for columns in range(1, most + 1) for rows in range(1, most // columns + 1)]
    return sorted(found, key=lambda pair: pair[0] * pair[1])
