"""The items of a sequence after its image: token ids, and coordinates and sizes, which have embeddings of their own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CoordinateItem:
    """A position along the image's width or height, from 0 to 1."""

    value: float


@dataclass(frozen=True, slots=True)
class SizeItem:
    """A box's width and height as fractions of the image's."""

    width: float
    height: float


SequenceItem = int | CoordinateItem | SizeItem
