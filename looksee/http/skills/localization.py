"""What `detect` and `point` share: an object that is looked for, and answers that may be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Answer, Task
from looksee.core.texts import in_one_line
from looksee.gateway.answering import CacheableJob
from looksee.http.error_sentences import Accepted, must_be
from looksee.http.inputs import parameters, validation
from looksee.http.inputs.bodies import Number
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

Name = Annotated[str, Field(json_schema_extra=parameters.WORDS)]
Names = Annotated[list[Name], Field(min_length=1, max_length=parameters.MOST_NAMES)]
OBJECT_FIELD: Any = Field(
    None,
    description="what is to be found, in a word or a few",
    examples=["square"],
)
OBJECTS_FIELD: Any = Field(
    None,
    description="in place of `object` several, 1 to 32, each answered by itself: `results` in their order",
)


class FindForm(BaseModel):
    """The fields beside the file."""

    model_config = ConfigDict(json_schema_extra=parameters.OBJECT_OR_OBJECTS)

    object: Name | None = OBJECT_FIELD
    # An example, or `/docs` would send one beside the `object`.
    objects: Names | None = Field(None, description=OBJECTS_FIELD.description, json_schema_extra={"example": []})
    model: str = model_field(Task.DETECT)
    max_objects: int | None = Field(
        None,
        description=f"at most as many, 1 to {MOST_OBJECTS}; else {MAX_OBJECTS}",
        json_schema_extra=parameters.at_most(MOST_OBJECTS, usual=MAX_OBJECTS),
    )
    threshold: Number = THRESHOLD_FIELD


class WhatIsWrong(BaseModel):
    """An error about one of several things."""

    code: str
    message: str
    param: str | None


class ObjectFailure(BaseModel):
    """One of several objects that could not be looked for."""

    object: str
    status: Literal["error"]
    error: WhatIsWrong


@dataclass(frozen=True, kw_only=True)
class LocalizationSkill(Skill):
    """`object` is a word or a few; with `objects` in its place there is a job for `each`.

    Found places with a confidence below `threshold` are not answered. The threshold is no part of the job: all
    thresholds share one answer of the cache.
    """

    prompt_param: ClassVar[str] = "object"

    object: str | None = None
    objects: Sequence[str] | None = None
    max_objects: int | None = None
    threshold: float = 0.0

    @property
    def label(self) -> str:
        """The object's name as the model is asked and the answers say it."""
        return in_one_line(self.object or "")

    def check(self, model: str, settings: Settings, *, pictures: int = 1) -> None:
        if self.objects is not None:
            self._check_several(self.objects, settings)
        elif self.object is None:
            wanted = Accepted().sentence("object", {"type": "string", **parameters.WORDS}, "is missing; it must be")
            raise errors.InvalidValue(f"{wanted} Several go into 'objects'.", param="object")
        else:
            validation.check_question(self.object, settings, param="object")
        validation.check_objects(self.max_objects)
        validation.check_threshold(self.threshold)
        validation.check_scores(model, asked=self.threshold, param="threshold")

    def each(self) -> list[Self]:
        """The skill for each of the `objects`."""
        return [replace(self, object=name, objects=None) for name in self.objects or ()]

    async def drawing_of(self, found: Sequence[tuple[str, Answer]], picture: Picture) -> bytes:
        """The picture with the answers about several things, each by its name, drawn into it, as a PNG file."""
        raise NotImplementedError

    def _check_several(self, objects: Sequence[str], settings: Settings) -> None:
        if self.object:
            raise errors.InvalidValue("Send 'object' or 'objects', not both.", param="objects")
        if not 1 <= len(objects) <= parameters.MOST_NAMES:
            wanted = {"type": "array", "items": {"type": "string", **parameters.WORDS}, **parameters.OBJECTS}
            raise errors.InvalidValue(must_be("objects", wanted), param="objects")
        for number, name in enumerate(objects):
            validation.check_question(name, settings, param=f"objects.{number}")

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
