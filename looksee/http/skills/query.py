"""The skill `query`: a question about a picture, or about none; and what else is asked of models as a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.scoring.yes_or_no import ALTERNATIVES
from looksee.core.tasks import GREEDY, Answer, Sampling, Task
from looksee.gateway.answering import CacheableJob
from looksee.http.answers.container_schemas import MEAN_FIELD, AnswerMetadata
from looksee.http.answers.reasoning import reasoning_member
from looksee.http.inputs import parameters, validation
from looksee.http.inputs.bodies import Boolean
from looksee.http.inputs.forced import texts
from looksee.http.inputs.wording.fields import LANGUAGE, MAX_WORDS, STRIP_OPENING
from looksee.http.skills.skill import NEW_TOKENS_FIELD, SCORES_FIELD, ContainerApi, TextSkill, model_field
from looksee.models.registry import REGISTRY, offers, prompts
from looksee.settings import Settings

# New tokens where a request does not say.
_TOKENS = 200
_FLAG_TOKENS = 30
_YES_OR_NO = ("yes", "no", "Yes", "No")


class QueryForm(BaseModel):
    """The fields beside the file."""

    question: str = Field(examples=["What color is the square?"], json_schema_extra=parameters.WORDS)
    model: str = model_field(Task.QUERY)
    max_new_tokens: int | None = NEW_TOKENS_FIELD
    scores: Boolean = SCORES_FIELD
    max_words: int = MAX_WORDS
    strip_opening: Boolean = STRIP_OPENING
    language: str = LANGUAGE


class QueryAnswer(AnswerMetadata):
    """The answer to a question."""

    answer: str
    mean_logprob: float | None = MEAN_FIELD


@dataclass(frozen=True, kw_only=True)
class QuerySkill(TextSkill):
    """`spatial_refs` as in a Job. Where they are given, the answer is one of the `choices` or matches the `regex`."""

    task: ClassVar[Task] = Task.QUERY
    prompt_param: ClassVar[str] = "question"
    container: ClassVar[ContainerApi | None] = ContainerApi(
        "An answer about an uploaded picture", QueryForm, QueryAnswer
    )

    question: str
    reasoning: bool = False
    spatial_refs: tuple[tuple[float, ...], ...] = ()
    choices: Sequence[str] = ()
    regex: str = ""

    def check(self, model: str, settings: Settings, *, pictures: int = 1) -> None:
        if not offers()[model].reasons and (self.reasoning or self.spatial_refs or not pictures):
            raise errors.TaskNotSupported(f"'{model}' answers plain questions about pictures only.", param="model")
        validation.check_question(self.question, settings, param="question")
        texts.check(self.choices, self.regex, model, settings)
        self.check_text(model, settings, forced=bool(self.choices or self.regex))

    def job(self, model: str, pictures: Sequence[Picture], settings: Settings, **fields: Any) -> CacheableJob:
        """The job for `model`; `fields` are further ones of a Job."""
        return self.text_job(
            model,
            pictures,
            prompts.query(model, self.question),
            settings,
            default_tokens=_TOKENS,
            reasoning=self.reasoning,
            spatial_refs=self.spatial_refs,
            **{"grammar": texts.grammar(self.choices, self.regex), **fields},
        )

    def members(self, answer: Answer, pictures: Sequence[Picture]) -> dict[str, Any]:
        return {"answer": answer.text, **self.scored(answer), **reasoning_member(answer.reasoning)}


def flag(model: str, pictures: Sequence[Picture], question: str, settings: Settings) -> CacheableJob:
    """A job that asks a question of yes or no about the pictures together, and gets one where the model can be forced.

    In the spellings that models were trained with.
    """
    tokens = min(_FLAG_TOKENS, settings.max_new_tokens)
    how = replace(GREEDY, logprobs=ALTERNATIVES) if model in REGISTRY else GREEDY
    grammar = texts.grammar(_YES_OR_NO, "") if offers()[model].forces else None
    words = prompts.flag(model, question)
    return CacheableJob.about(pictures, Task.QUERY, words, max_new_tokens=tokens, sampling=how, grammar=grammar)


def chat(
    pictures: Sequence[Picture],
    settings: Settings,
    *,
    max_new_tokens: int | None = None,
    sampling: Sampling = GREEDY,
    prompt: str = "",
    **fields: Any,
) -> CacheableJob:
    """A job for the next turn of a chat: after a `prompt` about the pictures, or after the `turns` in `fields`."""
    tokens = min(max_new_tokens or settings.max_new_tokens, settings.max_new_tokens)
    return CacheableJob.about(pictures, Task.QUERY, prompt, max_new_tokens=tokens, sampling=sampling, **fields)
