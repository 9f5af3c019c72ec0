"""What `detect` and `point` share: an object that is looked for, and answers that may be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from looksee.core.images import Picture
from looksee.core.tasks import Task
from looksee.core.texts import in_one_line
from looksee.gateway.answering import CacheableJob
from looksee.http.inputs import parameters, validation
from looksee.http.inputs.validation import MOST_OBJECTS
from looksee.http.skills.skill import Skill, model_field
from looksee.settings import Settings

MAX_OBJECTS = 50  # where a request does not say
NORMALIZED = "normalised: parts of the picture's width and height, 0 to 1; with `format=pixel` in pixels"


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


@dataclass(frozen=True, kw_only=True)
class LocalizationSkill(Skill):
    """`object` is a word or a few."""

    prompt_param: ClassVar[str] = "object"

    object: str
    max_objects: int | None = None

    @property
    def label(self) -> str:
        """The object's name as the model is asked and the answers say it."""
        return in_one_line(self.object)

    def check(self, model: str, settings: Settings, *, pictures: int = 1) -> None:
        validation.check_question(self.object, settings, param="object")
        validation.check_objects(self.max_objects)

    def job(self, model: str, pictures: Sequence[Picture], settings: Settings) -> CacheableJob:
        return self.find_job(pictures)

    def find_job(self, pictures: Sequence[Picture], **fields: Any) -> CacheableJob:
        """The job; `fields` are further ones of a Job."""
        return CacheableJob.about(
            pictures, self.task, self.label, max_objects=self.max_objects or MAX_OBJECTS, **fields
        )


def size_member(picture: Picture) -> dict[str, int]:
    """The member `image` of the container API's answers."""
    return {"width": picture.width, "height": picture.height}
