"""Pictures with what was found drawn into them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from looksee.cli.exports.answers import FolderAnswer
from looksee.cli.exports.whole_file import write_whole
from looksee.core.errors import LookseeError
from looksee.core.geometry import Box, Point
from looksee.core.images import annotate


def write_drawings(answers: Sequence[FolderAnswer], pictures: Path, target: Path) -> Iterator[tuple[str, str | None]]:
    """Write `<name>.png` for each picture, with its boxes or points; yields each name, and what went wrong with it."""
    for answer in answers:
        try:
            data = drawn((pictures / answer.name).read_bytes(), answer)
            file = target / f"{answer.name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, data)
        except LookseeError as error:
            yield answer.name, error.message
        except OSError as error:
            yield answer.name, error.strerror or str(error)
        else:
            yield answer.name, None


def drawn(data: bytes, answer: FolderAnswer) -> bytes:
    """A picture as a PNG file with its boxes or points. Raises CorruptImage."""
    boxes: dict[str, list[Box]] = defaultdict(list)
    points: dict[str, list[Point]] = defaultdict(list)
    for found in answer.places:
        if isinstance(found.place, Box):
            boxes[found.label].append(found.place)
        else:
            points[found.label].append(found.place)
    return annotate.points(data, list(points.items())) if points else annotate.boxes(data, list(boxes.items()))
