"""Which files are wanted of the answers about a folder, and their writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looksee.cli.exports.answers import FolderAnswer
from looksee.cli.exports.whole_file import write_whole


@dataclass(frozen=True, kw_only=True)
class Exports:
    """Files, and folders for `yolo` and `annotated`; None: not wanted."""

    csv: Path | None = None
    coco: Path | None = None
    yolo: Path | None = None
    gallery: Path | None = None
    annotated: Path | None = None

    @property
    def paths(self) -> dict[str, Path]:
        """Those that are wanted, by their kinds."""
        every = {
            "csv": self.csv,
            "coco": self.coco,
            "yolo": self.yolo,
            "gallery": self.gallery,
            "annotated": self.annotated,
        }
        return {kind: path for kind, path in every.items() if path is not None}

    def write(
        self,
        folder: Path,
        asked: Mapping[str, Any],
        answers: Sequence[FolderAnswer],
        texts: Sequence[str],
        failed: Mapping[str, str],
    ) -> Iterator[tuple[str, str]]:
        """Write all of them; yields the pictures that cannot be in one, and why. `texts` are as the sidecars have them.

        Each file is made anew of all answers. Raises OSError.
        """
        labels = things(asked)
        for path in self.paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        if self.csv:
            from looksee.cli.exports.tables import table

            write_whole(self.csv, table(answers, texts, task=asked["task"]))
        if self.coco:
            from looksee.cli.exports.coco import coco

            write_whole(self.coco, coco(answers, labels, points=asked["task"] == "point"))
        if self.yolo:
            from looksee.cli.exports.yolo import write_yolo

            yield from write_yolo(answers, labels, self.yolo).items()
        if self.annotated:
            from looksee.cli.exports.drawings import write_drawings

            for name, wrong in write_drawings(answers, folder, self.annotated):
                if wrong:
                    yield name, wrong
        if self.gallery:
            from looksee.cli.exports.gallery import gallery

            write_whole(self.gallery, gallery(answers, texts, failed, folder, folder.resolve().name or str(folder)))


def things(asked: Mapping[str, Any]) -> list[str]:
    """What boxes or points were asked for."""
    return list(asked.get("objects", [asked["object"]] if "object" in asked else []))
