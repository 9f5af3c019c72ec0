"""The skill `point`: a point on each object of a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from looksee.core.images import Picture
from looksee.core.tasks import Answer, Task
from looksee.gateway.answering import CacheableJob
from looksee.http.answers import detections
from looksee.http.answers.container_schemas import AnswerMetadata, ImageSize
from looksee.http.answers.detections import PointView
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
from looksee.settings import Settings


class FoundPoint(BaseModel):
    """A point on one thing, from the top left of the picture."""

    x: float = Field(description=NORMALIZED)
    y: float
    confidence: float | None = CONFIDENCE_FIELD


class Coordinates(BaseModel):
    """The points."""

    points: list[FoundPoint]
    count: int


class Points(AnswerMetadata):
    """A point for each thing that was found."""

    coordinates: Coordinates
    image: ImageSize


class PointsOfOne(Points):
    """The points of one of several objects."""

    object: str


class PointsOfSeveral(BaseModel):
    """What was found of each object, in the order asked."""

    status: Literal["success"]
    results: list[PointsOfOne | ObjectFailure]


@dataclass(frozen=True, kw_only=True)
class PointSkill(LocalizationSkill):
    """`spatial_refs` as in a Job."""

    task: ClassVar[Task] = Task.POINT
    container: ClassVar[ContainerApi | None] = ContainerApi(
        "Points on things in an uploaded picture", FindForm, Points | PointsOfSeveral, PointView
    )

    spatial_refs: tuple[tuple[float, ...], ...] = ()

    def job(self, model: str, pictures: Sequence[Picture], settings: Settings) -> CacheableJob:
        return self.find_job(pictures, spatial_refs=self.spatial_refs)

    def members(self, answer: Answer, pictures: Sequence[Picture]) -> dict[str, Any]:
        answer = self.kept(answer)
        return {"points": with_confidences([point._asdict() for point in answer.points], answer)}

    def container_members(self, answer: Answer, picture: Picture, view: View | None) -> dict[str, Any]:
        assert isinstance(view, PointView)
        answer = self.kept(answer)
        shown = with_confidences(detections.coordinates(answer.points, picture, view), answer)
        return {"coordinates": {"points": shown, "count": len(shown)}, "image": size_member(picture)}

    async def drawing(self, answer: Answer, picture: Picture) -> bytes:
        return await self.drawing_of([(self.label, answer)], picture)

    async def drawing_of(self, found: Sequence[tuple[str, Answer]], picture: Picture) -> bytes:
        shown = [(label, self.kept(answer).points) for label, answer in found]
        return await detections.drawn_points(picture, shown)
