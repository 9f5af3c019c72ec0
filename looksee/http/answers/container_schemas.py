"""What the Moondream container API answers: the schemas of its routes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

_NORMALIZED = "normalised: parts of the picture's width and height, 0 to 1; with `format=pixel` in pixels"


class AnswerMetadata(BaseModel):
    """What every answer says of itself."""

    status: Literal["success"]
    cache: bool = Field(description="whether the cache had the answer")
    model: str
    revision: str
    weights: Literal["sample", "hub", "local", "cloud"]


class Caption(AnswerMetadata):
    """A picture's caption."""

    caption: str


class QueryAnswer(AnswerMetadata):
    """The answer to a question."""

    answer: str


class ImageSize(BaseModel):
    """The picture's size in pixels, as a person sees it: after its EXIF orientation."""

    width: int
    height: int


class Detection(BaseModel):
    """A box around one thing, from the top left of the picture."""

    label: str = Field(description="what was asked for")
    x_min: float = Field(description=_NORMALIZED)
    y_min: float
    x_max: float
    y_max: float


class CocoDetection(BaseModel):
    """A box as COCO writes it, with `format=coco`."""

    label: str = Field(description="what was asked for")
    bbox: tuple[float, float, float, float] = Field(description="left, top, width and height, in pixels")


class Detections(AnswerMetadata):
    """A box for each thing that was found."""

    detections: list[Detection] | list[CocoDetection]
    count: int
    image: ImageSize


class FoundPoint(BaseModel):
    """A point on one thing, from the top left of the picture."""

    x: float = Field(description=_NORMALIZED)
    y: float


class Coordinates(BaseModel):
    """The points."""

    points: list[FoundPoint]
    count: int


class Points(AnswerMetadata):
    """A point for each thing that was found."""

    coordinates: Coordinates
    image: ImageSize
