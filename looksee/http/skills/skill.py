"""What all skills have: parameters, checks, a job, and the members of their answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from looksee.core.images import Picture
from looksee.core.tasks import GREEDY, Answer, Sampling, Task
from looksee.gateway.answering import CacheableJob
from looksee.http.answers.detections import BoxView, PointView
from looksee.http.answers.logprobs import mean_member
from looksee.http.inputs import parameters, validation
from looksee.http.inputs.wording import fields as wording
from looksee.models.registry import DEFAULT_MODEL
from looksee.settings import Settings

View = BoxView | PointView


@dataclass(frozen=True)
class ContainerApi:
    """A skill as the Moondream container API has it: its form beside the picture, and the schema of its answer.

    `view` are the query parameters that choose between ways to write the answer, for skills that have several.
    """

    summary: str
    form: type[BaseModel]
    answer: Any  # a class of records, or a union of such
    view: type[View] | None = None


@dataclass(frozen=True, kw_only=True)
class Skill(ABC):
    """A skill with the parameters of one request: the fields, by the names that callers have for them."""

    task: ClassVar[Task]
    prompt_param: ClassVar[str]  # the parameter that the model's prompt is made of
    default_model: ClassVar[str] = DEFAULT_MODEL
    several: ClassVar[bool] = False  # whether it is about several pictures together
    container: ClassVar[ContainerApi | None] = None

    @classmethod
    def parameters(cls) -> frozenset[str]:
        """The names of the parameters."""
        return frozenset(field.name for field in fields(cls))

    @abstractmethod
    def check(self, model: str, settings: Settings, *, pictures: int = 1) -> None:
        """Check the parameters for `model`, which has the skill, and for that many pictures.

        Raises InvalidValue, PromptTooLong or TaskNotSupported. A job may be built of unchecked parameters too, where a
        dialect has its own checks.
        """

    @abstractmethod
    def job(self, model: str, pictures: Sequence[Picture], settings: Settings) -> CacheableJob:
        """The job for `model`."""

    @abstractmethod
    def members(self, answer: Answer, pictures: Sequence[Picture]) -> dict[str, Any]:
        """The members of the answer in `/v1` and in a batch."""

    def container_members(self, answer: Answer, picture: Picture, view: View | None) -> dict[str, Any]:
        """The members of the answer in the container API; `view` is of the class that `container` names."""
        return self.members(answer, [picture])

    async def drawing(self, answer: Answer, picture: Picture) -> bytes:
        """The picture with the answer drawn into it, as a PNG file, for skills whose views have `annotate`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class TextSkill(Skill):
    """A skill whose answer is a text. `max_new_tokens` None is the skill's default; jobs have at most the settings'.

    With `scores` the answer says how likely the model found its text. `max_words`, `strip_opening` and `language`
    (empty for the model's own) are about its words.
    """

    max_new_tokens: int | None = None
    sampling: Sampling = GREEDY
    scores: bool = False
    max_words: int = 0
    strip_opening: bool = False
    language: str = ""

    def check_new_tokens(self, settings: Settings) -> None:
        """Raises InvalidValue for a number of new tokens outside of 1 to the settings' limit."""
        validation.check_new_tokens(self.max_new_tokens, settings)

    def check_text(self, model: str, settings: Settings, *, forced: bool = False) -> None:
        """Check what all texts have. Raises InvalidValue or TaskNotSupported."""
        self.check_new_tokens(settings)
        validation.check_scores(model, asked=self.scores)
        wording.check(
            model,
            settings,
            max_words=self.max_words,
            strip_opening=self.strip_opening,
            language=self.language,
            forced=forced,
        )

    def text_job(
        self,
        model: str,
        pictures: Sequence[Picture],
        prompt: str,
        settings: Settings,
        *,
        default_tokens: int,
        **fields: Any,
    ) -> CacheableJob:
        """A job with a `prompt` in the model's words; `fields` are further ones of a Job."""
        prompt = wording.in_language(prompt, model, settings, self.language)
        fields = {"wording": wording.wording(self.max_words, self.strip_opening), **fields}
        tokens = min(self.max_new_tokens or default_tokens, settings.max_new_tokens)
        how = replace(self.sampling, logprobs=self.sampling.logprobs or 0) if self.scores else self.sampling
        return CacheableJob.about(pictures, self.task, prompt, max_new_tokens=tokens, sampling=how, **fields)

    def scored(self, answer: Answer) -> dict[str, Any]:
        """The member `mean_logprob`, where scores were asked for."""
        return mean_member(answer) if self.scores else {}


def model_field(task: Task) -> Any:
    """The form field `model` of a skill."""
    return Field(DEFAULT_MODEL, **parameters.model(task))


NEW_TOKENS_FIELD: Any = Field(
    None,
    description="new tokens of the answer at most; LOOKSEE_MAX_NEW_TOKENS bounds it",
    json_schema_extra=parameters.NEW_TOKENS,
)
SCORES_FIELD: Any = Field(False, description="tell the mean log-probability of the text's tokens, `mean_logprob`")
PROMPT_DESCRIPTION = "blip, blip2: text that the caption continues; the others: an instruction"
