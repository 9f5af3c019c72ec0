"""Boxes as COCO's object detection has them, points as its keypoints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from looksee.cli import names
from looksee.cli.exports.answers import FolderAnswer, FoundPlace
from looksee.core.geometry import Box, as_coco, in_pixels, point_in_pixels

_DIGITS = 2  # of pixels
_VISIBLE = 2  # COCO's flag of a keypoint that is labelled and seen


def coco(answers: Sequence[FolderAnswer], labels: Sequence[str], *, points: bool) -> bytes:
    """The file: `images`, `annotations`, `categories`. Numbers begin at 1; the order of `labels` gives the categories'.

    A box's confidence is its `score`, as in COCO's results. A name that is not UTF-8 has its bytes in `file_bytes`.
    """
    categories: dict[str, dict[str, Any]] = {}
    for number, label in enumerate(labels, 1):
        categories[label] = {"id": number, "name": label, "supercategory": ""}
        if points:
            categories[label] |= {"keypoints": ["point"], "skeleton": []}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, answer in enumerate(answers, 1):
        own = names.members(answer.name)
        image = {"id": number, "file_name": own.pop("file"), "width": answer.width, "height": answer.height, **own}
        images.append(image)
        for found in answer.places:
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": categories[found.label]["id"]}
            annotations.append(annotation | _described(found, answer))
    content = {"images": images, "annotations": annotations, "categories": list(categories.values())}
    return json.dumps(content, ensure_ascii=False, indent=1).encode(errors="replace")


def _described(found: FoundPlace, answer: FolderAnswer) -> dict[str, Any]:
    score = {} if found.confidence is None else {"score": found.confidence}
    if isinstance(found.place, Box):
        left, top, width, height = as_coco(in_pixels(found.place, answer.width, answer.height))
        box = [round(value, _DIGITS) for value in (left, top, width, height)]
        return {"bbox": box, "area": round(width * height, _DIGITS), "iscrowd": 0, **score}
    x, y = (round(value, _DIGITS) for value in point_in_pixels(found.place, answer.width, answer.height))
    # A point has no extent; COCO's tools want a box of each annotation all the same.
    place = {"bbox": [x, y, 0, 0], "area": 0, "iscrowd": 0}
    return {"keypoints": [x, y, _VISIBLE], "num_keypoints": 1, **place, **score}
