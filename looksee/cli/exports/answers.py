"""An answer of the record in the form that all exports are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looksee.core.geometry import Box, Point


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A box or a point of a thing, normalised. `confidence` is 0 to 1, None where the service says none."""

    label: str
    place: Box | Point
    confidence: float | None


@dataclass(frozen=True, slots=True)
class FolderAnswer:
    """A picture of a folder by its name there, and what was answered. `width` and `height` are as a person sees it.

    `text` is empty for boxes and points. They are 0 where nobody needed them.
    """

    name: str
    text: str
    places: tuple[FoundPlace, ...]
    width: int
    height: int
    line: Mapping[str, Any]


def text_of(line: Mapping[str, Any]) -> str:
    """The caption or the answer of a line; empty for boxes and points."""
    return next((str(line[member]) for member in ("caption", "answer") if member in line), "")


def folder_answer(name: str, line: Mapping[str, Any], labels: Sequence[str]) -> FolderAnswer:
    """Raises KeyError or TypeError for a line that is no answer. `labels` are what was asked for."""
    found = line.get("results", [line])
    # By their order, which is that of the labels: the service may write a name in its own way.
    places = [
        _place(label, place)
        for label, one in zip(labels, found, strict=bool(labels))
        for place in one.get("objects", one.get("points", ()))
    ]
    size = line.get("image") or {}
    return FolderAnswer(name, text_of(line), tuple(places), int(size.get("width", 0)), int(size.get("height", 0)), line)


def size_of(file: Path) -> dict[str, int]:
    """A picture's width and height in pixels as a person sees it. Raises OSError and LookseeError."""
    # Imported here: it brings Pillow and numpy, which a folder of captions need not wait for.
    from looksee.core.images import ImageLimits, examine

    picture = examine(file.read_bytes(), ImageLimits(file_bytes=2**31, pixels=2**40, smallest_side=1))
    return {"width": picture.width, "height": picture.height}


def _place(label: str, found: Mapping[str, Any]) -> FoundPlace:
    place: Box | Point
    if "x_min" in found:
        place = Box(*(float(found[side]) for side in Box._fields))
    else:
        place = Point(float(found["x"]), float(found["y"]))
    confidence = found.get("confidence")
    return FoundPlace(label, place, None if confidence is None else float(confidence))
