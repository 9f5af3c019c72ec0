"""All answers as CSV: a line for each text, or for each box or point."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from looksee.cli import names
from looksee.cli.exports.answers import FolderAnswer
from looksee.core.geometry import Box, in_pixels, point_in_pixels

_DIGITS = 2  # of pixels


def table(answers: Sequence[FolderAnswer], texts: Sequence[str], *, task: str) -> bytes:
    """`texts` are those of the answers as they are written beside the pictures. Places are in pixels.

    A name that is not UTF-8 has its bytes in a column of their own, `file_bytes`, in base64.
    """
    rows = (
        [_row(answer, text) for answer, text in zip(answers, texts, strict=True)]
        if task in ("caption", "query")
        else [_place_row(answer, number) for answer in answers for number in range(len(answer.places))]
    )
    columns = {
        "detect": ["file", "width", "height", "label", *Box._fields, "confidence"],
        "point": ["file", "width", "height", "label", "x", "y", "confidence"],
    }.get(task, ["file", "caption" if task == "caption" else "answer", "text", "finish_reason", "model"])
    columns += ["file_bytes"] if any("file_bytes" in row for row in rows) else []
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode(errors="replace")


def _row(answer: FolderAnswer, text: str) -> dict[str, Any]:
    own = {name: answer.line[name] for name in ("finish_reason", "model") if name in answer.line}
    return {**names.members(answer.name), "caption": answer.text, "answer": answer.text, "text": text, **own}


def _place_row(answer: FolderAnswer, number: int) -> dict[str, Any]:
    found = answer.places[number]
    if isinstance(found.place, Box):
        place = in_pixels(found.place, answer.width, answer.height)._asdict()
    else:
        place = point_in_pixels(found.place, answer.width, answer.height)._asdict()
    row = {**names.members(answer.name), "width": answer.width, "height": answer.height, "label": found.label}
    row |= {side: round(value, _DIGITS) for side, value in place.items()}
    return row if found.confidence is None else {**row, "confidence": found.confidence}
