"""Boxes as YOLO's labels: a text for each picture, and the names of the classes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from looksee.cli.exports.answers import FolderAnswer
from looksee.cli.exports.whole_file import write_whole
from looksee.cli.names import shown
from looksee.core.geometry import Box

_DIGITS = 6


def write_yolo(answers: Sequence[FolderAnswer], labels: Sequence[str], target: Path) -> dict[str, str]:
    """Write `labels/` with the paths of the pictures, and `data.yaml` with the classes in the order of `labels`.

    A picture without boxes gets an empty file: it is an example of nothing. Returns by its name what is wrong with each
    picture that could not be told from another one. Raises OSError.
    """
    classes = {label: number for number, label in enumerate(labels)}
    owners: dict[str, list[str]] = defaultdict(list)
    wrong = {}
    for answer in answers:
        stem = str(Path(answer.name).with_suffix(""))
        owners[stem].append(answer.name)
        if len(owners[stem]) > 1:
            wrong[answer.name] = f"YOLO has one file for it and {shown(owners[stem][0])}: it was left out."
            continue
        lines = []
        for found in answer.places:
            if isinstance(found.place, Box):
                box = found.place
                numbers = (
                    (box.x_min + box.x_max) / 2,
                    (box.y_min + box.y_max) / 2,
                    box.x_max - box.x_min,
                    box.y_max - box.y_min,
                )
                lines.append(f"{classes[found.label]} {' '.join(f'{number:.{_DIGITS}f}' for number in numbers)}\n")
        file = target / "labels" / f"{stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, "".join(lines).encode())
    named = "".join(f"  {number}: {json.dumps(label, ensure_ascii=False)}\n" for label, number in classes.items())
    content = (
        f"# Trainers look for the pictures in `images`, beside `labels`.\ntrain: images\nval: images\nnames:\n{named}"
    )
    write_whole(target / "data.yaml", content.encode(errors="replace"))
    return wrong
