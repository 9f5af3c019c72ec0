"""FiftyOne's models: captions, answers, boxes and points from a running Looksee. Needs `fiftyone`.

dataset.apply_model(LookseeModel(task="detect", words=["circle", "red square"]), label_field="found", batch_size=16)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from fiftyone.core.labels import Classification, Classifications, Detection, Detections, Keypoint, Keypoints, Label
from fiftyone.core.models import Model
from PIL import Image

from adapters.remote import QUESTION, Remote, encoded, split_names

FiftyOneTask = Literal["caption", "query", "classify", "detect", "point"]


class LookseeModel(Model):  # type: ignore[misc]  # fiftyone has no types
    """One task of a Looksee as a model that `apply_model` takes.

    `words` are the question of `query`, and the names of things for `classify`, `detect` and `point`, as a list or
    separated by commas. `classify` asks a question of yes or no about each name, and has those that are there. Without
    `remote` it is that of LOOKSEE_URL and LOOKSEE_KEY. Raises ValueError.
    """

    def __init__(
        self,
        task: FiftyOneTask = "caption",
        words: str | Sequence[str] = (),
        remote: Remote | None = None,
        length: str = "normal",
    ) -> None:
        self._remote = Remote() if remote is None else remote
        self._length = length
        self._names: tuple[str, ...] = ()
        self._question = ""
        if task == "query":
            self._question = words if isinstance(words, str) else " ".join(words)
            if not self._question.strip():
                raise ValueError("Give the question as `words`.")
        elif task != "caption":
            self._names = split_names(words)
        elif words:
            raise ValueError("A caption has no `words`; the task `query` has.")
        asked: dict[str, Callable[[str], Label]] = {
            "caption": lambda picture: Classification(label=self._remote.caption(picture, self._length)),
            "query": lambda picture: Classification(label=self._remote.answer(picture, self._question)),
            "classify": self._classified,
            "detect": self._detected,
            "point": self._pointed,
        }
        if task not in asked:
            raise ValueError(f"There is no task '{task}'; there are: {', '.join(asked)}.")
        self._ask = asked[task]

    def __exit__(self, *args: Any) -> None:
        self._remote.close()

    @property
    def media_type(self) -> str:
        return "image"

    @property
    def ragged_batches(self) -> bool:
        """False: pictures of several sizes may be in one batch."""
        return False

    @property
    def transforms(self) -> None:
        """None: the service prepares pictures itself."""

    @property
    def preprocess(self) -> bool:
        return False

    @preprocess.setter
    def preprocess(self, value: bool) -> None:
        """Without effect: there is nothing to prepare."""

    def predict(self, arg: np.ndarray[Any, Any]) -> Label:
        """The label of a picture of (height, width, 3) uint8 in RGB, or (height, width) in grey. Raises RemoteError."""
        return self._ask(encoded(Image.fromarray(np.ascontiguousarray(arg))))

    def predict_all(self, args: Iterable[np.ndarray[Any, Any]]) -> list[Label]:
        """The same for several pictures, which the service gets at the same time."""
        return self._remote.for_each(args, self.predict)

    def _classified(self, picture: str) -> Classifications:
        there = [name for name in self._names if self._remote.says_yes(picture, QUESTION.replace("{name}", name))]
        return Classifications(classifications=[Classification(label=name) for name in there])

    def _detected(self, picture: str) -> Detections:
        """FiftyOne's boxes are left, top, width and height, in the same parts."""
        return Detections(
            detections=[
                Detection(
                    label=name, bounding_box=[box.x_min, box.y_min, box.width, box.height], confidence=box.confidence
                )
                for name in self._names
                for box in self._remote.boxes(picture, name)
            ]
        )

    def _pointed(self, picture: str) -> Keypoints:
        return Keypoints(
            keypoints=[
                Keypoint(
                    label=name,
                    points=[(point.x, point.y)],
                    confidence=None if point.confidence is None else [point.confidence],
                )
                for name in self._names
                for point in self._remote.points(picture, name)
            ]
        )
