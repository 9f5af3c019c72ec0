"""The skill `detect`: a box around each object of a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from looksee.core.images import Picture
from looksee.core.tasks import Answer, Task
from looksee.http.answers import detections
from looksee.http.answers.container_schemas import AnswerMetadata, ImageSize
from looksee.http.answers.detections import BoxView
from looksee.http.skills.localization import (
    CONFIDENCE_FIELD,
    NORMALIZED,
    FindForm,
    LocalizationSkill,
    ObjectFailure,
    size_member,
    with_confidences,
)
from looksee.http.skills.skill import ContainerApi, View


class Detection(BaseModel):
    """A box around one thing, from the top left of the picture."""

    label: str = Field(description="what was asked for")
    x_min: float = Field(description=NORMALIZED)
    y_min: float
    x_max: float
    y_max: float
    confidence: float | None = CONFIDENCE_FIELD


class CocoDetection(BaseModel):
    """A box as COCO writes it, with `format=coco`."""

    label: str = Field(description="what was asked for")
    bbox: tuple[float, float, float, float] = Field(description="left, top, width and height, in pixels")
    confidence: float | None = CONFIDENCE_FIELD


class Detections(AnswerMetadata):
    """A box for each thing that was found."""

    detections: list[Detection] | list[CocoDetection]
    count: int
    image: ImageSize


class DetectionsOfOne(Detections):
    """The boxes of one of several objects."""

    object: str


class DetectionsOfSeveral(BaseModel):
    """What was found of each object, in the order asked."""

    status: Literal["success"]
    results: list[DetectionsOfOne | ObjectFailure]


@dataclass(frozen=True, kw_only=True)
class DetectSkill(LocalizationSkill):
    task: ClassVar[Task] = Task.DETECT
    container: ClassVar[ContainerApi | None] = ContainerApi(
        "Boxes of things in an uploaded picture", FindForm, Detections | DetectionsOfSeveral, BoxView
    )

    def members(self, answer: Answer, pictures: Sequence[Picture]) -> dict[str, Any]:
        answer = self.kept(answer)
        return {"objects": with_confidences([box._asdict() for box in answer.boxes], answer)}

    def container_members(self, answer: Answer, picture: Picture, view: View | None) -> dict[str, Any]:
        assert isinstance(view, BoxView)
        answer = self.kept(answer)
        shown = with_confidences(detections.detections(answer.boxes, self.label, picture, view), answer)
        return {"detections": shown, "count": len(shown), "image": size_member(picture)}

    async def drawing(self, answer: Answer, picture: Picture) -> bytes:
        return await self.drawing_of([(self.label, answer)], picture)

    async def drawing_of(self, found: Sequence[tuple[str, Answer]], picture: Picture) -> bytes:
        shown = [(label, self.kept(answer).boxes) for label, answer in found]
        return await detections.drawn_boxes(picture, shown)
