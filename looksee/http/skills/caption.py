"""The skill `caption`: what one picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from pydantic import BaseModel, Field

from looksee.core.images import Picture
from looksee.core.tasks import Answer, Length, Task
from looksee.gateway.answering import CacheableJob
from looksee.http.answers.container_schemas import MEAN_FIELD, AnswerMetadata
from looksee.http.inputs import validation
from looksee.http.inputs.bodies import Boolean
from looksee.http.inputs.validation import LENGTHS
from looksee.http.inputs.wording.fields import LANGUAGE, MAX_WORDS, STRIP_OPENING
from looksee.http.skills.skill import (
    NEW_TOKENS_FIELD,
    PROMPT_DESCRIPTION,
    SCORES_FIELD,
    ContainerApi,
    TextSkill,
    model_field,
)
from looksee.models.registry import offers, prompts
from looksee.settings import Settings

# New tokens where a request does not say; the models end nearly all captions well before.
_TOKENS = 100
_TOKENS_BY_LENGTH: dict[str, int] = {"short": 100, "normal": 200, "long": 500}  # of models that have lengths


class CaptionForm(BaseModel):
    """The fields beside the file."""

    length: str = Field(
        "normal",
        description=f"one of: {', '.join(LENGTHS)}; models but moondream have one, normal",
        json_schema_extra={"enum": list(LENGTHS)},
    )
    model: str = model_field(Task.CAPTION)
    prompt: str = Field("", description=PROMPT_DESCRIPTION)
    max_new_tokens: int | None = NEW_TOKENS_FIELD
    scores: Boolean = SCORES_FIELD
    max_words: int = MAX_WORDS
    strip_opening: Boolean = STRIP_OPENING
    language: str = LANGUAGE


class Caption(AnswerMetadata):
    """A picture's caption."""

    caption: str
    mean_logprob: float | None = MEAN_FIELD


@dataclass(frozen=True, kw_only=True)
class CaptionSkill(TextSkill):
    """`length` is one of LENGTHS once it has been checked."""

    task: ClassVar[Task] = Task.CAPTION
    prompt_param: ClassVar[str] = "prompt"
    container: ClassVar[ContainerApi | None] = ContainerApi("A caption for an uploaded picture", CaptionForm, Caption)

    prompt: str = ""
    length: str = "normal"

    def check(self, model: str, settings: Settings, *, pictures: int = 1) -> None:
        validation.checked_length(self.length, model, prompt=self.prompt)
        validation.check_prompt(self.prompt, settings, param="prompt")
        self.check_text(model, settings)

    def job(self, model: str, pictures: Sequence[Picture], settings: Settings, **fields: Any) -> CacheableJob:
        """The job for `model`; `fields` are further ones of a Job."""
        tokens = _TOKENS_BY_LENGTH[self.length] if len(offers()[model].lengths) > 1 else _TOKENS
        words = prompts.caption(model, self.prompt)
        length = cast(Length, self.length)
        return self.text_job(model, pictures, words, settings, default_tokens=tokens, length=length, **fields)

    def members(self, answer: Answer, pictures: Sequence[Picture]) -> dict[str, Any]:
        return {"caption": answer.text, **self.scored(answer)}
