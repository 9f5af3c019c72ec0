"""What answers of the Moondream container API share. The skills have the schemas of their own answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from looksee.core.tasks import Finish

FINISHED = (
    "stop, or length where the answer was cut at what it may have at most; empty where the model wrote nothing, loop "
    "where it repeated itself and was cut for it: these two are never cached"
)


MEAN_FIELD: Any = Field(None, description="with `scores`: the mean log-probability of the text's tokens")


class AnswerMetadata(BaseModel):
    """What every answer says of itself."""

    status: Literal["success"]
    finish_reason: Finish = Field(description=FINISHED)
    cache: bool = Field(description="whether the cache had the answer")
    model: str
    revision: str
    weights: Literal["sample", "hub", "local", "cloud"]


class ImageSize(BaseModel):
    """The picture's size in pixels, as a person sees it: after its EXIF orientation."""

    width: int
    height: int
