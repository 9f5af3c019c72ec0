"""CVAT's auto-annotation function: boxes, points and tags from a running Looksee. Needs `cvat-sdk`.

cvat-cli task auto-annotate 42 --function-module adapters.cvat_function -p boxes=str:'circle,red square'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cvat_sdk.auto_annotation as cvataa
from cvat_sdk import models
from PIL.Image import Image

from adapters.remote import QUESTION, Remote, RemoteBox, RemotePoint, encoded, split_names


class CvatFunction:
    """Labels of the type rectangle and points are found by their names; one of the type tag is set where the question
    about it is answered with yes.
    """

    def __init__(
        self, remote: Remote, *, boxes: Sequence[str], points: Sequence[str], tags: Sequence[str], question: str
    ) -> None:
        self._remote, self._question = remote, question
        self._wanted = [("rectangle", name) for name in boxes]
        self._wanted += [("points", name) for name in points]
        self._wanted += [("tag", name) for name in tags]
        names = [name for _, name in self._wanted]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"A label of CVAT has one type; given for two: {', '.join(doubled)}.")
        self._spec = cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(name, number, type=kind) for number, (kind, name) in enumerate(self._wanted)]
        )

    @property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        """The labels, numbered from 0."""
        return self._spec

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: Image
    ) -> list[models.LabeledImageRequest | models.LabeledShapeRequest]:
        """What was found in the image, in its pixels. All labels are asked for at the same time. Raises RemoteError."""
        picture, least = encoded(image), context.conf_threshold or 0.0
        asked: dict[str, Callable[[int, str], list[models.LabeledImageRequest | models.LabeledShapeRequest]]] = {
            "rectangle": lambda label, name: [
                cvataa.rectangle(label, _pixels(image, (box.x_min, box.y_min, box.x_max, box.y_max)), **_score(box))
                for box in self._remote.boxes(picture, name)
                if _sure(box, least)
            ],
            "points": lambda label, name: [
                cvataa.shape(label, type="points", points=_pixels(image, (point.x, point.y)), **_score(point))
                for point in self._remote.points(picture, name)
                if _sure(point, least)
            ],
            "tag": lambda label, name: [cvataa.tag(label)] if self._is_there(picture, name) else [],
        }
        found = self._remote.for_each(enumerate(self._wanted), lambda one: asked[one[1][0]](one[0], one[1][1]))
        return [one for of_label in found for one in of_label]

    def _is_there(self, picture: str, name: str) -> bool:
        return self._remote.says_yes(picture, self._question.replace("{name}", name))


def create(
    boxes: str = "",
    points: str = "",
    tags: str = "",
    question: str = QUESTION,
    url: str = "",
    key: str = "",
    model: str = "moondream",
) -> CvatFunction:
    """What CVAT's command calls with its `-p` parameters. Names are separated by commas; `{name}` in the question is a
    tag's. Without `url` and `key` those of LOOKSEE_URL and LOOKSEE_KEY. Raises ValueError.
    """
    if not (boxes or points or tags):
        raise ValueError("Name the labels to be found: -p boxes=str:'cat,red car', points=... or tags=...")
    remote = Remote(model=model)
    remote.url, remote.key = url or remote.url, key or remote.key
    boxes_, points_, tags_ = (split_names(names) if names.strip() else () for names in (boxes, points, tags))
    return CvatFunction(remote, boxes=boxes_, points=points_, tags=tags_, question=question)


def _pixels(image: Image, parts: Sequence[float]) -> list[float]:
    """Parts of the width and height, in turns, in pixels."""
    return [part * image.size[place % 2] for place, part in enumerate(parts)]


def _sure(found: RemoteBox | RemotePoint, least: float) -> bool:
    """Where the service tells no confidence, nothing is left out."""
    return found.confidence is None or found.confidence >= least


def _score(found: RemoteBox | RemotePoint) -> dict[str, float]:
    return {} if found.confidence is None else {"score": found.confidence}
