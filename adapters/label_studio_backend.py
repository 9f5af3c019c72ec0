"""Label Studio's ML backend: predictions for its tasks from a running Looksee. Needs `label-studio-ml`.

    python -m adapters.label_studio_backend --port 9090        or, for many people at a time:
    gunicorn --threads 8 --bind 127.0.0.1:9090 'adapters.label_studio_backend:make_app()'

What is asked is in the project's labeling configuration:

    RectangleLabels    a box around each thing that a label names
    KeyPointLabels     a point on each
    TextArea           a caption; with an attribute `prompt` of its own the answer to that
    Choices            those whose name is in the answer to the attribute `prompt`; without one, those of which the
                       model says that they are there

A label or choice may have a `prompt` too: what the model is asked for in place of its name.
"""

from __future__ import annotations

import argparse
import inspect
import io
import logging
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from label_studio_ml import api, model
from PIL import Image, UnidentifiedImageError

from adapters.remote import QUESTION, Remote, RemoteError, encoded

logger = logging.getLogger("adapters.label_studio")

_KINDS = {"RectangleLabels": "rectanglelabels", "KeyPointLabels": "keypointlabels"}
_KINDS |= {"TextArea": "textarea", "Choices": "choices"}
_NAMED = ("Label", "Choice")
# The service's codes for what is wrong with one picture.
_OF_A_PICTURE = frozenset(
    "corrupt_image empty_file file_too_large image_too_large image_too_small unsupported_image_type".split()
)
_POINT_SIZE = 1.0  # of a point, in hundredths of the picture's width


@dataclass(frozen=True)
class LabelingControl:
    """A control of the labeling configuration that a picture can be asked for.

    `names` have what the model is asked for by what Label Studio calls it; `source` is the member of a task's data.
    """

    kind: str
    name: str
    to_name: str
    source: str
    prompt: str
    several: bool
    names: dict[str, str]


def controls(labeling_config: str) -> list[LabelingControl]:
    """Those that are about a whole picture, in their order. Raises ValueError."""
    try:
        root = ElementTree.fromstring(labeling_config)
    except ElementTree.ParseError as error:
        raise ValueError(f"The labeling configuration is no XML: {error}") from None
    pictures = {tag.get("name"): tag.get("value", "").removeprefix("$") for tag in root.iter("Image")}
    found = []
    for tag in root.iter():
        to_name = tag.get("toName", "")
        if tag.tag in _KINDS and to_name in pictures and tag.get("perRegion") != "true":
            named = [(one.get("alias") or one.get("value", ""), one) for one in tag.iter() if one.tag in _NAMED]
            found.append(
                LabelingControl(
                    tag.tag,
                    tag.get("name", ""),
                    to_name,
                    pictures[to_name],
                    tag.get("prompt", ""),
                    tag.get("choice") == "multiple",
                    {name: one.get("prompt") or one.get("value") or name for name, one in named if name},
                )
            )
    return found


class LabelStudioBackend(model.LabelStudioMLBase):  # type: ignore[misc]  # label-studio-ml has no types
    """`remote` is for all projects; None is that of LOOKSEE_URL and LOOKSEE_KEY."""

    remote: ClassVar[Remote | None] = None

    @property
    def service(self) -> Remote:
        """The service that is asked."""
        if LabelStudioBackend.remote is None:
            LabelStudioBackend.remote = Remote()
        return LabelStudioBackend.remote

    def setup(self) -> None:
        """The version that Label Studio shows; the package's older releases have none."""
        self.set("model_version", f"looksee-{self.service.model}")

    def predict(self, tasks: Sequence[dict[str, Any]], *args: Any, **more: Any) -> list[dict[str, Any]]:
        """A prediction for each task: `{"result": [...], "score", "model_version"}`, empty where its picture cannot be
        had or read, which the log says. Raises RemoteError, ValueError, or what went wrong with all of the tasks.
        """
        wanted = controls(self.label_config or "")
        if not wanted:
            raise ValueError(f"The labeling configuration has none of {', '.join(_KINDS)} about a picture.")

        def predicted(task: dict[str, Any]) -> dict[str, Any] | Exception:
            try:
                return self._predicted(task, wanted)
            except RemoteError as error:
                if error.code not in _OF_A_PICTURE:
                    raise
                return error
            except (OSError, UnidentifiedImageError) as error:  # requests' errors are OSErrors
                return error

        found = self.service.for_each(tasks, predicted)
        errors = [one for one in found if isinstance(one, Exception)]
        if errors and len(errors) == len(found):
            raise errors[0]
        for task, one in zip(tasks, found, strict=True):
            if isinstance(one, Exception):
                logger.warning("task %s has no prediction: %s", task.get("id"), one)
        return [{"result": [], "score": 0.0} if isinstance(one, Exception) else one for one in found]

    def _predicted(self, task: dict[str, Any], wanted: Sequence[LabelingControl]) -> dict[str, Any]:
        read: dict[str, tuple[str, tuple[int, int]]] = {}
        regions: list[dict[str, Any]] = []
        for control in wanted:
            if control.source not in task["data"]:
                continue
            if control.source not in read:
                read[control.source] = _read(self._path(task, control.source))
            picture, size = read[control.source]
            for value, confidence in self._values(control, picture):
                regions.append(_region(control, value, confidence, size, len(regions)))
        scores = [region["score"] for region in regions if "score" in region]
        version = f"looksee-{self.service.model}"
        return {"result": regions, "score": sum(scores) / len(scores) if scores else 0.0, "model_version": version}

    def _path(self, task: dict[str, Any], source: str) -> Path:
        known = inspect.signature(self.get_local_path).parameters
        more = {"task_id": task.get("id")} if "task_id" in known else {}
        return Path(self.get_local_path(task["data"][source], **more))

    def _values(self, control: LabelingControl, picture: str) -> list[tuple[dict[str, Any], float | None]]:
        """What of a picture is in a control, each with its confidence."""
        service = self.service
        if control.kind == "TextArea":
            said = service.answer(picture, control.prompt) if control.prompt else service.caption(picture)
            return [({"text": [said]}, None)]
        if control.kind == "Choices":
            chosen = self._chosen(control, picture)
            return [({"choices": chosen}, None)] if chosen else []
        found: list[tuple[dict[str, Any], float | None]] = []
        for label, prompt in control.names.items():
            if control.kind == "RectangleLabels":
                for box in service.boxes(picture, prompt):
                    place = {"x": box.x_min, "y": box.y_min, "width": box.width, "height": box.height}
                    value = {name: 100 * part for name, part in place.items()}
                    found.append(({**value, "rotation": 0, "rectanglelabels": [label]}, box.confidence))
            else:
                for point in service.points(picture, prompt):
                    value = {"x": 100 * point.x, "y": 100 * point.y, "width": _POINT_SIZE}
                    found.append(({**value, "keypointlabels": [label]}, point.confidence))
        return found

    def _chosen(self, control: LabelingControl, picture: str) -> list[str]:
        if control.prompt:
            said = self.service.answer(picture, control.prompt).lower()
            places = {
                name: re.search(rf"\b{re.escape(words.lower())}\b", said) for name, words in control.names.items()
            }
            found = sorted((match.start(), name) for name, match in places.items() if match)
            chosen = [name for _, name in found]
        else:
            chosen = [name for name, words in control.names.items() if self._is_there(picture, words)]
        return chosen if control.several else chosen[:1]

    def _is_there(self, picture: str, words: str) -> bool:
        question = words if words.rstrip().endswith("?") else QUESTION.replace("{name}", words)
        return self.service.says_yes(picture, question)


def _read(path: Path) -> tuple[str, tuple[int, int]]:
    """A file as a data URI, and the width and height of the picture as a browser shows it. Raises OSError."""
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        lies = picture.getexif().get(0x0112, 1) >= 5
    return encoded(data), (height, width) if lies else (width, height)


def _region(
    control: LabelingControl, value: dict[str, Any], confidence: float | None, size: tuple[int, int], number: int
) -> dict[str, Any]:
    region: dict[str, Any] = {
        "id": f"{control.name}-{number}",
        "from_name": control.name,
        "to_name": control.to_name,
        "type": _KINDS[control.kind],
        "value": value,
    }
    if confidence is not None:
        region["score"] = confidence
    if control.kind in ("RectangleLabels", "KeyPointLabels"):
        region |= {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
    return region


def make_app(remote: Remote | None = None) -> Any:
    """The WSGI app, with the routes that Label Studio calls."""
    LabelStudioBackend.remote = remote
    # Releases before 2 look for trained models in a folder, and have to be told of one.
    more = {"model_dir": tempfile.mkdtemp()} if hasattr(model, "LabelStudioMLManager") else {}
    return api.init_app(LabelStudioBackend, **more)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--model", default="moondream")
    given = parser.parse_args()
    make_app(Remote(model=given.model)).run(host=given.host, port=given.port, threaded=True)
