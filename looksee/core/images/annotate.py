"""Boxes or points drawn into the picture with their label, legible on any background."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

from PIL import ImageDraw, ImageFont

from looksee.core.geometry import Box, Point, in_pixels, point_in_pixels
from looksee.core.images import decode

PlaceT = TypeVar("PlaceT", Box, Point)

# Okabe and Ito's palette, distinguishable with colour blindness; black text is legible on each colour.
_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))
_BLACK = (0, 0, 0)
_SMALLEST_LETTERS = 11  # pixels: smaller ones cannot be read
_LONGEST_LABEL = 80  # characters
_LEAST_HEIGHT = 5  # labels, one above the other: in a lower picture they would hide what they speak of


def boxes(data: bytes, found: Sequence[tuple[str, Sequence[Box]]]) -> bytes:
    """The picture in `data`, upright and in full size, as a PNG file with normalised boxes of things drawn into it.

    Several boxes of a label are numbered in their order; where the bundled font lacks the label's letters the number is
    all that is written, and nothing in pictures without room for words. A colour is a box's, or with several labels a
    label's. Raises CorruptImage.
    """
    drawing = _Drawing(data)
    marks = _marks(found)
    corners = [drawing.box(box, colour) for box, _, colour in marks]
    for (_, words, colour), corner in zip(marks, corners, strict=True):  # after all lines, so that none crosses a word
        drawing.label(*words, corner, colour, above=True)
    return drawing.png()


def points(data: bytes, found: Sequence[tuple[str, Sequence[Point]]]) -> bytes:
    """As `boxes`, with normalised points."""
    drawing = _Drawing(data)
    marks = _marks(found)
    corners = [drawing.point(point, colour) for point, _, colour in marks]
    for (_, words, colour), corner in zip(marks, corners, strict=True):
        drawing.label(*words, corner, colour, above=False)
    return drawing.png()


def _marks(found: Sequence[tuple[str, Sequence[PlaceT]]]) -> list[tuple[PlaceT, tuple[str, str], tuple[int, int, int]]]:
    """Each place with its name and number, and its colour."""
    return [
        (place, _words(label, number, len(places)), _colour(thing if len(found) > 1 else number))
        for thing, (label, places) in enumerate(found)
        for number, place in enumerate(places)
    ]


class _Drawing:
    """A picture to draw into. Every colour gets a black seam, so that it shows on a ground of its own colour."""

    def __init__(self, data: bytes) -> None:
        self._image = decode(data)
        self._draw = ImageDraw.Draw(self._image)
        short = min(self._image.size)
        self._line = max(1, round(short / 200))
        self._seam = max(1, round(short / 600))
        self._radius = max(2, round(short / 80))
        self._font = ImageFont.load_default(max(_SMALLEST_LETTERS, short / 30))

    def box(self, box: Box, colour: tuple[int, int, int]) -> tuple[int, int]:
        """Draw the box; the corner at its top left, in pixels."""
        width, height = self._image.size
        left, top, right, bottom = map(round, in_pixels(box, width, height))
        left, top = min(left, width - 1), min(top, height - 1)
        right, bottom = max(left, right - 1), max(top, bottom - 1)  # the last pixel inside
        outer = (left - self._seam, top - self._seam, right + self._seam, bottom + self._seam)
        self._draw.rectangle(outer, outline=_BLACK, width=self._line + 2 * self._seam)
        self._draw.rectangle((left, top, right, bottom), outline=colour, width=self._line)
        return left, top

    def point(self, point: Point, colour: tuple[int, int, int]) -> tuple[int, int]:
        """Draw the point; where its label begins, in pixels."""
        x, y = point_in_pixels(point, *self._image.size)
        for radius, ink in ((self._radius + self._seam, _BLACK), (self._radius, colour), (self._radius / 3, _BLACK)):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
        return round(x) + self._radius, round(y) + self._radius

    def label(
        self, name: str, number: str, corner: tuple[int, int], colour: tuple[int, int, int], *, above: bool
    ) -> None:
        """Write on a plate at the corner, or as near to it as the picture has room."""
        width, height = self._image.size
        pad = self._line + self._seam
        text = self._fitted(name, number, width // 2 - 2 * pad)
        ascent, descent = self._metrics()
        plate_width = round(self._font.getlength(text)) + 2 * pad
        plate_height = ascent + descent + 2 * pad
        if not text or plate_height * _LEAST_HEIGHT > height:
            return
        left, top = corner
        top = top - plate_height if above and top >= plate_height else top
        left = max(0, min(left, width - plate_width))
        top = max(0, min(top, height - plate_height))
        self._draw.rectangle(
            (left, top, left + plate_width - 1, top + plate_height - 1), fill=colour, outline=_BLACK, width=self._seam
        )
        self._draw.text((left + pad, top + pad), text, fill=_BLACK, font=self._font)

    def png(self) -> bytes:
        """The picture as a file, packed quickly rather than tightly."""
        file = io.BytesIO()
        self._image.save(file, "PNG", compress_level=1)
        return file.getvalue()

    def _fitted(self, name: str, number: str, room: int) -> str:
        """Name and number, or as much of the name as has room beside the number; empty where nothing has."""
        text = f"{name} {number}".strip()
        while name and self._font.getlength(text) > room:
            name = name[:-1].rstrip()
            text = f"{name}\N{HORIZONTAL ELLIPSIS} {number}".strip() if name else number
        return text if self._font.getlength(text) <= room else ""

    def _metrics(self) -> tuple[int, int]:
        assert isinstance(self._font, ImageFont.FreeTypeFont)  # the bundled one, which has every size
        return self._font.getmetrics()


def _colour(number: int) -> tuple[int, int, int]:
    return _COLOURS[number % len(_COLOURS)]


def _words(label: str, number: int, count: int) -> tuple[str, str]:
    """The name and the number that are written; the bundled font has the letters of ASCII."""
    letters = unicodedata.normalize("NFKD", " ".join(label.split())[:_LONGEST_LABEL])
    name = "".join(letter for letter in letters if not unicodedata.combining(letter))
    name = name if name.isascii() and name.isprintable() else ""
    return name, str(number + 1) if count > 1 or not name else ""
