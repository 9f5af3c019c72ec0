"""What `detect` and `point` share: an object that is looked for, and answers that may be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from looksee.core.images import Picture
from looksee.core.tasks import Answer, Task
from looksee.core.texts import in_one_line
from looksee.gateway.answering import CacheableJob
from looksee.http.inputs import parameters, validation
from looksee.http.inputs.validation import MOST_OBJECTS
from looksee.http.skills.skill import Skill, model_field
from looksee.settings import Settings

MAX_OBJECTS = 50  # where a request does not say
NORMALIZED = "normalised: parts of the picture's width and height, 0 to 1; with `format=pixel` in pixels"
_DIGITS = 4  # of a confidence
THRESHOLD_FIELD: Any = Field(
    0.0, ge=0, le=1, description="leave out what the model is less sure of: `confidence` below this, 0 to 1"
)
CONFIDENCE_FIELD: Any = Field(None, description="how sure the model is that it is one and lies there, 0 to 1")


class FindForm(BaseModel):
    """The fields beside the file."""

    object: str = Field(
        description="what is to be found, in a word or a few", examples=["square"], json_schema_extra=parameters.WORDS
    )
    model: str = model_field(Task.DETECT)
    max_objects: int | None = Field(
        None,
        description=f"at most as many, 1 to {MOST_OBJECTS}; else {MAX_OBJECTS}",
        json_schema_extra=parameters.at_most(MOST_OBJECTS, usual=MAX_OBJECTS),
    )
    threshold: float = THRESHOLD_FIELD


@dataclass(frozen=True, kw_only=True)
class LocalizationSkill(Skill):
    """`object` is a word or a few. Found places with a confidence below `threshold` are not answered.

    The threshold is no part of the job: all thresholds share one answer of the cache.
    """

    prompt_param: ClassVar[str] = "object"

    object: str
    max_objects: int | None = None
    threshold: float = 0.0

    @property
    def label(self) -> str:
        """The object's name as the model is asked and the answers say it."""
        return in_one_line(self.object)

    def check(self, model: str, settings: Settings, *, pictures: int = 1) -> None:
        validation.check_question(self.object, settings, param="object")
        validation.check_objects(self.max_objects)
        validation.check_threshold(self.threshold)
        validation.check_scores(model, asked=self.threshold, param="threshold")

    def job(self, model: str, pictures: Sequence[Picture], settings: Settings) -> CacheableJob:
        return self.find_job(pictures)

    def kept(self, answer: Answer) -> Answer:
        """The answer without what is below the threshold."""
        if not self.threshold:
            return answer
        kept = [index for index, value in enumerate(answer.confidences) if value >= self.threshold]
        return replace(
            answer,
            boxes=tuple(answer.boxes[one] for one in kept if answer.boxes),
            points=tuple(answer.points[one] for one in kept if answer.points),
            confidences=tuple(answer.confidences[one] for one in kept),
        )

    def find_job(self, pictures: Sequence[Picture], **fields: Any) -> CacheableJob:
        """The job; `fields` are further ones of a Job."""
        return CacheableJob.about(
            pictures, self.task, self.label, max_objects=self.max_objects or MAX_OBJECTS, **fields
        )


def size_member(picture: Picture) -> dict[str, int]:
    """The member `image` of the container API's answers."""
    return {"width": picture.width, "height": picture.height}


def with_confidences(places: Sequence[dict[str, Any]], answer: Answer) -> list[dict[str, Any]]:
    """The members of boxes or points, each with its confidence where the answer has them."""
    if not answer.confidences:
        return list(places)
    return [
        {**place, "confidence": round(value, _DIGITS)} for place, value in zip(places, answer.confidences, strict=True)
    ]
