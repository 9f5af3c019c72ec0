"""CVAT's own driver of auto-annotation functions, `annotate_task`, on a task whose frames and labels are made here in
place of a server's.
"""

from __future__ import annotations

import json
import logging
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cvat_sdk.auto_annotation as cvataa
from cvat_cli._internal.common import FunctionLoader
from cvat_sdk import models
from cvat_sdk.auto_annotation import driver
from PIL import Image

from adapters import cvat_function

SHAPES = ["circle", "square", "triangle", "cross"]
FIRST = 101  # the id of the task's first label


class TaskOfFiles:
    """What the driver reads of a task: its labels, with ids of their own, and a frame for each file."""

    def __init__(self, labels: list[tuple[str, str]], files: list[Path]) -> None:
        self.labels = [
            models.Label(name=name, id=FIRST + number, type=kind, attributes=[], sublabels=[])
            for number, (name, kind) in enumerate(labels)
        ]
        self.samples = [
            SimpleNamespace(frame_index=number, frame_name=file.name, media=SimpleNamespace(load_image=_loaded(file)))
            for number, file in enumerate(files)
        ]


def _loaded(file: Path) -> Any:
    return lambda: Image.open(file)


class KeptAnnotations:
    """A client whose task keeps what is uploaded."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("cvat")
        self.tasks = SimpleNamespace(api=self)
        self.kept: dict[str, Any] = {}

    def update_annotations(self, task: int, *, labeled_data_request: models.LabeledDataRequest) -> None:
        self.kept = labeled_data_request.to_dict()


def main(url: str, folder: str) -> None:
    labels = [*((name, "rectangle") for name in SHAPES), ("shape", "points"), ("red circle", "tag"), ("blue", "tag")]
    task = TaskOfFiles(labels, sorted(Path(folder).glob("*.png")))
    driver.TaskDataset = lambda *_, **__: task
    client = KeptAnnotations()
    given = {"boxes": ",".join(SHAPES), "points": "shape", "tags": "red circle", "url": url}
    function = FunctionLoader("adapters.cvat_function", None, given).load()  # as CVAT's command does
    cvataa.annotate_task(client, 1, function, clear_existing=True)
    told = {"package": version("cvat-sdk"), "first": FIRST, **client.kept}
    try:
        cvataa.annotate_task(client, 1, cvat_function.create(boxes="circle", url="http://127.0.0.1:9"))
    except RuntimeError as error:
        told["unreachable"] = str(error)
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
