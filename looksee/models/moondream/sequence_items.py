"""What a sequence is made of after a picture: token ids, and places that are fed as embeddings of their own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CoordinateItem:
    """A place along one side of the picture, 0 to 1."""

    value: float


@dataclass(frozen=True, slots=True)
class SizeItem:
    """A box's width and height, as parts of the picture's."""

    width: float
    height: float


Piece = int | CoordinateItem | SizeItem
